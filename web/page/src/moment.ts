// Moments in words.

const full = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** Returns a moment to the second; nothing of one that is not known. */
export function moment(time: string | number): string {
  const then = new Date(time);
  return then.getTime() > 0 ? full.format(then) : "";
}

/** Returns a stretch of time to the minute. */
export function stretch(start: string | number, end: string | number): string {
  return short.formatRange(new Date(start), new Date(end));
}
