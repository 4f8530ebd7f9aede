import { showEditor } from "./editor.js";
import { showList } from "./list.js";

/** Returns the id in a path `/d/<id>`, or null. */
function docIn(path: string): string | null {
  if (!path.startsWith("/d/")) return null;
  try {
    return decodeURIComponent(path.slice("/d/".length)) || null;
  } catch {
    return null; // not percent-encoded UTF-8
  }
}

const app = document.getElementById("app")!;
const id = docIn(location.pathname);
if (id === null) showList(app);
else showEditor(app, id);
