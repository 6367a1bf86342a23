/** The longest first: a file that takes a minute, begun last, would keep one worker while the others have nothing to do. */
const { default: Sequencer } = require("@jest/test-sequencer");

const LONGEST = [
  "chaos/simulation",
  "chaos/nth-call",
  "chaos/flaky-network",
  "process/",
  "core/",
  "database/embedded",
  "format/",
];

module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const at = LONGEST.findIndex(part => path.includes(`/test/${part}`));
      return at === -1 ? LONGEST.length : at;
    };
    return [...tests].sort((a, b) => rank(a) - rank(b));
  }
};
