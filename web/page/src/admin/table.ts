import { el } from "../dom.js";

/** A column: what it is called, and what is in a row's cell. */
export interface Column<T> {
  readonly label: string;
  readonly number?: boolean;
  /** The text, anew each time; it is set as text, never as markup. */
  text?(row: T): string;
  /** The elements, made once for a row; `latest` gives the row as it is then. */
  make?(latest: () => T): HTMLElement[];
}

/**
 * A table whose rows stay the same elements while what is in them changes, so that a button under
 * somebody's finger stays there.
 */
export class Table<T> {
  readonly node: HTMLElement;
  private readonly body = el("tbody");
  private readonly empty: HTMLElement;
  private readonly rows = new Map<string, { node: HTMLTableRowElement; cells: HTMLTableCellElement[]; row: T }>();

  constructor(
    private readonly columns: readonly Column<T>[],
    private readonly key: (row: T) => string,
    nothing: string,
  ) {
    const heads = columns.map(({ label, number }) => el("th", { attrs: { scope: "col" }, className: number ? "number" : "" }, label));
    this.empty = el("p", { className: "nothing" }, nothing);
    this.node = el("div", { className: "table" }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), this.body), this.empty);
  }

  /** Shows rows, in this order. */
  show(rows: readonly T[]): void {
    const keys = new Set(rows.map(this.key));
    for (const [key, { node }] of this.rows) {
      if (keys.has(key)) continue;
      node.remove();
      this.rows.delete(key);
    }
    let before: Element | null = this.body.firstElementChild;
    for (const row of rows) {
      const { node } = this.update(row);
      if (node === before) before = before.nextElementSibling;
      else this.body.insertBefore(node, before);
    }
    this.empty.hidden = rows.length > 0;
  }

  private update(row: T) {
    const key = this.key(row);
    let shown = this.rows.get(key);
    if (shown === undefined) {
      const cells = this.columns.map(({ label, number }) => el("td", { className: number ? "number" : "", attrs: { "data-label": label } }));
      const made = { node: el("tr", {}, ...cells), cells, row };
      this.columns.forEach(({ make }, i) => make && cells[i]!.append(...make(() => made.row)));
      this.rows.set(key, (shown = made));
    }
    shown.row = row;
    this.columns.forEach(({ text }, i) => {
      const cell = shown.cells[i]!;
      const now = text?.(row);
      if (now !== undefined && cell.textContent !== now) cell.textContent = now;
    });
    return shown;
  }
}
