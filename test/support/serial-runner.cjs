/** For test files that start servers of their own: one after the other, with the machine to themselves. */
const { default: Runner } = require("jest-runner");

module.exports = class SerialRunner extends Runner {
  isSerial = true;
};
