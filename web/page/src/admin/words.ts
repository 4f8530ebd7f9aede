/** Writes a number of bytes for people. */
export function bytes(n: number): string {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (n >= 10 * size) return `${Math.floor(n / size).toLocaleString("en")} ${unit}`;
  }
  return `${n.toLocaleString("en")} B`;
}

/** Writes a rate or milliseconds in a few digits. */
export function few(n: number): string {
  return n === 0 ? "0" : n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : Math.round(n).toLocaleString("en");
}

/** Writes a span in seconds, in its two largest units. */
export function span(seconds: number): string {
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;
  const parts: string[] = [];
  let left = Math.floor(seconds);
  for (const [unit, size] of units) {
    const n = Math.floor(left / size);
    left -= n * size;
    if (n > 0 || unit === "s" && parts.length === 0) parts.push(`${n} ${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
