/**
 * Preloaded into a process (`NODE_OPTIONS=--import=…`), its clock is wrong by CLOCK_SHIFT_MS: `Date` says another time,
 * timers go on as they are, as on a machine whose clock was set wrong.
 */
const shiftMs = Number(process.env["CLOCK_SHIFT_MS"]);
if (!Number.isFinite(shiftMs)) throw new Error("CLOCK_SHIFT_MS must be a number of milliseconds");
const RealDate = Date;
const now = () => RealDate.now() + shiftMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, key, receiver) => (key === "now" ? now : Reflect.get(target, key, receiver)),
});
RealDate.prototype.constructor = globalThis.Date;
