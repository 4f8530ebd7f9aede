import type { Peer } from "../../client/index.js";
import { el } from "./dom.js";
import { distinct, visible, type Named } from "./names.js";
import { initials, paint } from "./person.js";

/** The most people that are shown one by one. */
const most = 5;

/** Returns others with the names that the person here is to read, so that no two who are not the same read alike. */
export function called<C>(peers: readonly Peer<C>[], self: Named): Peer<C>[] {
  const [, ...names] = distinct([self, ...peers.map(({ user }) => ({ name: user?.name ?? "", author: user?.author }))]);
  return peers.map((peer, i) => ({ ...peer, user: { color: "", ...peer.user, name: names[i]! } }));
}

/** Who is here, as a row of buttons that lead to their cursors. `go` is given the client id. */
export class People {
  readonly element = el("ul", { className: "people", attrs: { "aria-label": "Who is here" } });
  readonly #go: (client: string) => void;

  constructor(go: (client: string) => void) {
    this.#go = go;
  }

  /** Shows these people, who have the names that `called` returns. */
  show(peers: readonly Peer<unknown>[]): void {
    const avatars = peers.slice(0, most).map(({ client, user }) => {
      const name = user!.name;
      const title = user!.author && user!.author !== name && !name.endsWith(")") ? `${name} — ${visible(user!.author)}` : name;
      const avatar = el("button", { type: "button", className: "avatar", title, attrs: { "aria-label": `${name}: go to their cursor`, "data-peer": name }, on: { click: () => this.#go(client) } }, initials(name));
      paint(avatar, user!.color);
      return el("li", {}, avatar);
    });
    const rest = peers.slice(most).map(({ user }) => user!.name);
    if (rest.length > 0) avatars.push(el("li", { className: "more", title: rest.join(", ") }, `+${rest.length}`));
    this.element.replaceChildren(...avatars);
  }
}
