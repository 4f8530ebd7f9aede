import type { User } from "../../client/index.js";
import { stripped } from "./names.js";

const key = "quire:me";

/** Colours to choose from, each readable with white on it. */
export const colors = ["#b4432f", "#a1590c", "#7a6a10", "#46762b", "#1f7a63", "#1c7391", "#3a63b8", "#6a4fb3", "#97419b", "#b03a68"];

/** The colour of whom nobody knows. */
export const noColor = "#6b6557";

const manners = ["Calm", "Bright", "Quick", "Gentle", "Merry", "Quiet", "Bold", "Keen", "Kind", "Early"];
const birds = ["Wren", "Heron", "Finch", "Swift", "Robin", "Plover", "Lark", "Owl", "Tern", "Crane"];

const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!;

/** Returns the person here, as kept in this browser; somebody invented at first. */
export function me(): User {
  try {
    const { name, color } = JSON.parse(localStorage.getItem(key) ?? "") as User;
    if (cleanName(name) && /^#[0-9a-f]{6}$/.test(color)) return { name: cleanName(name), color };
  } catch {
    // nothing kept, or not by this version
  }
  const user = { name: `${pick(manners)} ${pick(birds)}`, color: pick(colors) };
  keepMe(user);
  return user;
}

/** Keeps in this browser who the person here is. */
export function keepMe(user: User): void {
  try {
    localStorage.setItem(key, JSON.stringify(user));
  } catch {
    // no storage: the name lasts as long as the page
  }
}

/** Returns a name as the server takes it: nothing that cannot be seen, at most so many bytes of UTF-8. */
export function cleanName(name: string, most = 64): string {
  let clean = stripped(name.replaceAll("\ufffd", " "));
  while (new TextEncoder().encode(clean).length > most) clean = [...clean].slice(0, -1).join("");
  return clean;
}

/** Returns up to two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(" ").map((word) => word.replace(/^[\p{P}\p{S}]+(?=.)/u, "")).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  return letters.map((word) => [...word][0]!.toUpperCase()).join("") || "?";
}

/** Returns black or white, whichever reads better on a colour `#rrggbb` (WCAG 2 relative luminance). */
export function inkOn(color: string): string {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (luminance + 0.05) ** 2 > 0.05 * 1.05 ? "#1b1a17" : "#ffffff";
}

/** Gives an element the colours of a person. */
export function paint(node: HTMLElement, color: string): void {
  const known = /^#[0-9a-f]{6}$/i.test(color) ? color : noColor;
  node.style.setProperty("--peer", known);
  node.style.setProperty("--peer-ink", inkOn(known));
}
