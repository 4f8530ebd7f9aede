const namespace = "http://www.w3.org/2000/svg";

/** Outlines on a square of 16 units, drawn with a line of one and a half. */
const outlines = {
  undo: "M5.5 3.5 2.5 6.5l3 3M3 6.5h6.2a3.8 3.8 0 0 1 0 7.5H6",
  redo: "M10.5 3.5l3 3-3 3M13 6.5H6.8a3.8 3.8 0 0 0 0 7.5H10",
  bold: "M4.5 8h4.2a2.6 2.6 0 0 0 0-5.2H4.5v10.4h5a2.6 2.6 0 0 0 0-5.2",
  italic: "M6.5 2.8h5M4.5 13.2h5M9.6 2.8 6.4 13.2",
  underline: "M4.5 2.5v4.8a3.5 3.5 0 0 0 7 0V2.5M3.5 13.8h9",
  strike: "M2.5 8h11M11.2 4.8C10.8 3.4 9.6 2.7 8 2.700c-2 0-3.3 1-3.3 2.5 0 1 .5 1.7 1.5 2.200M4.6 10.800c.4 1.6 1.7 2.5 3.5 2.5 2 0 3.4-1 3.4-2.6 0-.5-.1-.9-.4-1.3",
  code: "M5.5 4.5 2 8l3.5 3.500M10.5 4.5 14 8l-3.5 3.5",
  color: "M3.8 10.5 8 2.500l4.2 8M5.3 7.700h5.4",
  background: "M9.8 2.800l3.4 3.4-6 6H4v-3.200zM2.5 14.200h11",
  bullet: "M6 4h7.500M6 8h7.500M6 12h7.500M2.7 4h.1M2.7 8h.1M2.7 12h.1",
  ordered: "M6.5 4h7M6.5 8h7M6.5 12h7M2.2 3.200l1-.6v3M2.1 10.600c.2-.5.6-.7 1-.7.6 0 1 .4 1 .9 0 .6-.5.9-2 2.400h2.1",
  check: "M7.5 4.500h6M7.5 11.500h6M2 4.500l1.3 1.300L5.6 3M2 11.500l1.3 1.3 2.3-2.8",
  quote: "M3 12V8.500C3 6 4 4.5 6.3 3.800M9.2 12V8.500c0-2.5 1-4 3.3-4.700M3 8.500h3V12H3zM9.2 8.500h3V12h-3z",
  block: "M2.5 3h11v10h-11zM6.5 6 4.8 8l1.7 2M9.5 6l1.7 2-1.7 2",
  align: "M2.5 3.500h11M2.5 6.500h7M2.5 9.500h11M2.5 12.500h7",
  rtl: "M13.5 3.500h-11M13.5 6.500h-6M13.5 9.500h-11M6 12.500H2.500m0 0L4 11m-1.5 1.500L4 14M13.5 12.500h-5",
  link: "M6.7 9.300a2.6 2.6 0 0 0 3.7 0l2.4-2.400a2.6 2.6 0 0 0-3.7-3.700l-.9.9M9.3 6.700a2.6 2.6 0 0 0-3.7 0L3.2 9.100a2.6 2.6 0 0 0 3.7 3.700l.9-.9",
  image: "M2.5 3h11v10h-11zM2.5 11l3.2-3.2 2.6 2.6 1.8-1.8 3.4 3.400M10.5 6h.1",
  clear: "M4.5 3h8M8.5 3 6.8 10M3.5 13h4M10.5 10.500l3 3M13.5 10.500l-3 3",
};

export type IconName = keyof typeof outlines;

/** Makes an icon in the colour of the text around it, not told to assistive technology. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(namespace, "svg");
  for (const [attribute, value] of Object.entries({ viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" })) svg.setAttribute(attribute, value);
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", outlines[name]);
  svg.append(path);
  return svg;
}
