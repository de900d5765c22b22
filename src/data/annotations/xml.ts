import { DataError } from '../../errors.ts';

/** An element of an annotation file: children in order, and its text where it has no children. */
export interface XmlElement {
  readonly name: string;
  readonly line: number;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const token = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.-]*)(?![\w.-])[^<>]*?(\/?)>|[^<\n]+\n?|\n|</g;

/**
 * The elements of a file as annotation tools write it: elements and text, attributes passed over. That is all Pascal
 * VOC needs, so no XML library is carried for it; document types, CDATA and unknown entities are refused.
 * @throws DataError with file and line for anything else, or elements that do not nest
 */
export function parseXml(content: string, where: string): XmlElement {
  const root = { name: '', line: 1, children: [] as XmlElement[], text: '' };
  const open = [root];
  let line = 1;
  const fail = (what: string): never => {
    throw new DataError(`${where} line ${line}: ${what}.`, { line });
  };
  for (const match of content.matchAll(token)) {
    const [whole, closing, name, single] = match;
    const top = open.at(-1) ?? root;
    if (name === undefined) {
      if (whole === '<') fail('expected a tag, found "<" that begins none');
      if (!whole.startsWith('<')) top.text += decoded(whole, fail);
    } else if (closing === '/') {
      if (open.length < 2 || top.name !== name) fail(`</${name}> closes nothing, <${top.name}> is open`);
      open.pop();
    } else {
      const element = { name, line, children: [], text: '' };
      top.children.push(element);
      if (single !== '/') open.push(element);
    }
    line += whole.split('\n').length - 1;
  }
  if (open.length > 1) fail(`<${open.at(-1)?.name}> of line ${open.at(-1)?.line} is never closed`);
  const [element] = root.children;
  return element && root.children.length === 1 ? element : fail('expected one outermost element');
}

function decoded(text: string, fail: (what: string) => never): string {
  return text.replace(/&([^;\s]*);?/g, (whole, name: string) => {
    const code = /^#(x[0-9a-f]+|\d+)$/i.exec(name)?.[1];
    const point = code === undefined ? Number.NaN : Number(code.replace(/^x/i, '0x'));
    if (point <= 0x10ffff) return String.fromCodePoint(point);
    return entities[name] ?? fail(`unknown entity "${whole}"`);
  });
}

export const childOf = (element: XmlElement, name: string): XmlElement | undefined =>
  element.children.find((child) => child.name === name);

/** Text of a child, trimmed; undefined where there is none. */
export const textOf = (element: XmlElement, name: string): string | undefined =>
  childOf(element, name)?.text.trim();

/** A child's number; undefined where it is absent or none. */
export function numberOf(element: XmlElement, name: string): number | undefined {
  const text = textOf(element, name);
  const value = text === undefined || text === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : undefined;
}
