import { el } from "./dom.js";

const loading = new Map<string, Promise<unknown>>();

/** Loads one of the page's style sheets, once. Rejects when it could not be loaded. */
export function loadSheet(name: string): Promise<unknown> {
  const known = loading.get(name);
  if (known) return known;
  const loaded = new Promise((resolve, reject) => {
    const fail = () => {
      link.remove();
      loading.delete(name);
      reject(new Error(`the style sheet ${name} could not be loaded`));
    };
    const link = el("link", { rel: "stylesheet", href: `/assets/${name}`, on: { load: resolve, error: fail } });
    document.head.append(link);
  });
  loading.set(name, loaded);
  return loaded;
}
