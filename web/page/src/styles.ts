import { StyleModule } from "style-mod";

const sheet = new CSSStyleSheet();
const mounted: StyleModule[] = [];

/**
 * Makes CodeMirror put its styles into a constructed style sheet. It would
 * write them into a `style` element, which a Content-Security-Policy without
 * 'unsafe-inline' forbids. Call once, before the first editor is made.
 */
export function mountStylesWithoutInline(): void {
  StyleModule.mount = (root, modules) => {
    const fresh = [modules].flat().filter((module) => !mounted.includes(module));
    if (fresh.length > 0) {
      mounted.push(...fresh); // later rules win, as the caller ordered them
      sheet.replaceSync(mounted.map((module) => module.getRules()).join("\n"));
    }
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
  };
}
