/** Text of SVG and HTML, put together safely: what is not markup is escaped. */
declare const brand: unique symbol;

/** Text that may stand in a document as it is; only the functions here make it. */
export type Markup = string & { readonly [brand]: 'markup' };

export type Attributes = Readonly<Record<string, string | number | undefined>>;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The one place where text becomes markup. */
const trusted = (text: string): Markup => text as Markup;

/** Control characters, which XML forbids even escaped, become spaces. */
export function text(value: string | number): Markup {
  const printable = String(value).replace(/(?![\t\n])\p{Cc}/gu, ' ');
  return trusted(printable.replace(/[&<>"']/g, (character) => entities[character] ?? ''));
}

/** Coordinates to a hundredth: more is not seen and only makes files large. */
const attribute = (value: string | number): string =>
  typeof value === 'number' ? String(Math.round(value * 100) / 100) : text(value);

/** An element; undefined attributes are left out. Children are markup, made by the functions of this file. */
export function element(
  name: string,
  attributes: Attributes,
  ...children: readonly (Markup | readonly Markup[])[]
): Markup {
  const written = Object.entries(attributes)
    .map(([key, value]) => (value === undefined ? '' : ` ${key}="${attribute(value)}"`))
    .join('');
  const inside = children.flat().join('');
  return trusted(
    empty.has(name) && inside === '' ? `<${name}${written}/>` : `<${name}${written}>${inside}</${name}>`,
  );
}

/** Elements without content; HTML lets no others close themselves. */
const empty = new Set(['meta', 'img', 'rect', 'line', 'circle', 'polyline', 'image']);

export const join = (parts: readonly Markup[], between = ''): Markup => trusted(parts.join(between));

/** Style sheets, which are not escaped. They hold constants of this program only. */
export const styleSheet = (css: string): Markup => trusted(`<style>${css}</style>`);

export const documentOf = (head: Markup, body: Markup): string =>
  `<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n${head}\n</head>\n<body>\n${body}\n</body>\n</html>\n`;
