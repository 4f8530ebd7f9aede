import { showEditor } from "./editor.js";
import { showSignIn } from "./frame.js";
import { showJoin, takeSecret } from "./join.js";
import { showList } from "./list.js";
import { whoAmI } from "./session.js";

/** Returns the id in a path `/d/<id>`, or null. */
function docIn(path: string): string | null {
  if (!path.startsWith("/d/")) return null;
  try {
    return decodeURIComponent(path.slice("/d/".length)) || null;
  } catch {
    return null; // not percent-encoded UTF-8
  }
}

async function show(app: HTMLElement): Promise<void> {
  const joining = location.pathname === "/join";
  const secret = joining ? takeSecret() : "";
  const access = await whoAmI();
  const id = docIn(location.pathname);
  if (joining) {
    showJoin(app, secret, access);
    // Another invitation's address opened here changes the fragment alone.
    addEventListener("hashchange", () => location.hash !== "" && showJoin(app, takeSecret(), access));
  } else if (access.kind === "nobody") showSignIn(app, access.reason);
  else if (id === null) showList(app, access);
  else showEditor(app, id, access);
}

void show(document.getElementById("app")!);
