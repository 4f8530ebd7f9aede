type Child = Node | string | null | false | undefined;
type Props<E> = Partial<Omit<E, "dataset" | "style" | "classList">> & {
  /** Attributes that have no property, such as `aria-label` or `data-state`. */
  attrs?: Record<string, string>;
  /** Event handlers by event name. */
  on?: { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
};

/** Makes an element: `el("button", { className: "quiet", on: { click } }, "Close")`. Strings become text, never markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props<HTMLElementTagNameMap[K]> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  const { attrs = {}, on = {}, ...rest } = props;
  Object.assign(node, rest);
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  for (const [name, handler] of Object.entries(on)) node.addEventListener(name, handler as EventListener);
  node.append(...children.filter((child): child is Node | string => child !== null && child !== undefined && child !== false));
  return node;
}

/** Returns `n` with the noun in the right number: "1 edit", "3 edits". */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}

/** Returns how long ago a moment was, in words. Both in milliseconds since 1970. */
export function ago(then: number, now = Date.now()): string {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const seconds = Math.min(0, (then - now) / 1000);
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60]] as const;
  for (const [unit, size] of units) if (-seconds >= size) return words.format(Math.trunc(seconds / size), unit);
  return "just now";
}
