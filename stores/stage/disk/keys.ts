import { HeadwaterError } from '../../../rules/errors.ts';

/** No part may be empty, start with a dot or hold a separator, so no key can lead out of the stage. */
const PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;
const PARTS_MAX = 8;
const EXTENSION = /^[a-z0-9]{1,10}$/;
/** Of the sha256, in hex digits: 64 bits within one slice's names. */
const HASH_DIGITS = 16;

/** `<window>/<slice>` or `<window>/<slice>/<name>`. */
export function prefixParts(prefix: string): string[] {
  return safeParts(prefix, 2);
}

export function keyParts(key: string): string[] {
  return safeParts(key, 2);
}

export function windowPart(window: string): string {
  const [part = ''] = safeParts(window, 1);
  if (part !== window) throw new HeadwaterError('INTERNAL', 'a window id is one part of a stage key');
  return part;
}

/** The last part of a prefix of three or more is the name; a shorter one leaves the name to the hash. */
export function finalKey(prefix: readonly string[], extension: string, sha256: string): string {
  const hash = sha256.slice(0, HASH_DIGITS);
  const joined = prefix.join('/');
  return `${joined}${prefix.length > 2 ? '-' : '/'}${hash}.${checkedExtension(extension)}`;
}

/** The way back: what `finalKey` was given. INTERNAL for a key that is not from there. */
export function keyPrefix(key: string): { prefix: string; hash: string; extension: string } {
  const parts = keyParts(key);
  const [, name, hash = '', extension = ''] =
    /^(?:(.+)-)?([0-9a-f]{16})\.([a-z0-9]{1,10})$/.exec(parts.pop() ?? '') ?? [];
  if (hash === '')
    throw new HeadwaterError('INTERNAL', 'a key of the stage ends with the hash of its content');
  return { prefix: [...parts, ...(name === undefined ? [] : [name])].join('/'), hash, extension };
}

export function checkedExtension(extension: string): string {
  if (!EXTENSION.test(extension))
    throw new HeadwaterError('INTERNAL', 'a stage extension is like csv or parquet');
  return extension;
}

function safeParts(path: string, least: number): string[] {
  const parts = path.split('/');
  if (parts.length < least || parts.length > PARTS_MAX || !parts.every((part) => PART.test(part))) {
    throw new HeadwaterError('INTERNAL', `"${path.slice(0, 200)}" is not a key of the stage`);
  }
  return parts;
}
