import { XMLParser, XMLValidator } from 'fast-xml-parser';

/** Names are without their prefix. */
export interface XmlNode {
  name: string;
  attributes: Readonly<Record<string, string>>;
  text: string;
  /** xsi:nil="true" */
  nil: boolean;
  children: XmlNode[];
}

/** A message is six levels deep. */
const DEPTH_MAX = 20;
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  // Decoded below: the five of XML itself and numbers, nothing that a document declares.
  processEntities: false,
  cdataPropName: '#cdata',
  removeNSPrefix: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
});

/** A document without DTD and without entities of its own, as one node around its root; undefined for everything else. */
export function parseSoap(body: Buffer): XmlNode | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    // Beside comments and CDATA, `<!` begins a DTD or a part of one.
    if (/<!(?!--|\[CDATA\[)/.test(text) || XMLValidator.validate(text) !== true) return undefined;
    const parsed: unknown = parser.parse(text);
    return { name: '', attributes: {}, text: '', nil: false, children: nodesOf(parsed, 0) };
  } catch {
    return undefined;
  }
}

function nodesOf(input: unknown, depth: number): XmlNode[] {
  if (!Array.isArray(input) || depth > DEPTH_MAX) throw new RangeError('too deep');
  return input.flatMap((entry: unknown) => {
    const [name, content] = elementOf(entry);
    if (name === undefined || name.startsWith('#')) return [];
    return [nodeOf(name, content, attributesOf(entry), depth)];
  });
}

function nodeOf(name: string, content: unknown, attributes: Record<string, string>, depth: number): XmlNode {
  const parts = Array.isArray(content) ? content : [];
  const text = parts.map((part: unknown) => {
    const [key, value] = elementOf(part);
    if (key === '#cdata' && Array.isArray(value))
      return value.map((one: unknown) => elementOf(one)[1]).join('');
    return key === '#text' && typeof value === 'string' ? decode(value) : '';
  });
  const nil = attributes['nil'] === 'true' || attributes['nil'] === '1';
  return { name, attributes, text: text.join(''), nil, children: nodesOf(parts, depth + 1) };
}

/** One key beside `:@`, which holds the attributes. */
function elementOf(entry: unknown): [string?, unknown?] {
  if (typeof entry !== 'object' || entry === null) return [];
  return Object.entries(entry).find(([key]) => key !== ':@') ?? [];
}

function attributesOf(entry: unknown): Record<string, string> {
  if (typeof entry !== 'object' || entry === null || !(':@' in entry)) return {};
  const found: unknown = entry[':@'];
  if (typeof found !== 'object' || found === null) return {};
  return Object.fromEntries(Object.entries(found).map(([key, value]) => [key, decode(String(value))]));
}

function decode(text: string): string {
  return text.replaceAll(/&([^;&\s]{0,20});?/g, (_whole, written: string) => {
    const known = Object.hasOwn(NAMED, written) ? NAMED[written] : undefined;
    if (known !== undefined) return known;
    const [, hex, decimal] = /^#(?:x([0-9a-f]{1,6})|(\d{1,7}))$/i.exec(written) ?? [];
    if (hex === undefined && decimal === undefined) throw new SyntaxError('an entity');
    return String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16));
  });
}
