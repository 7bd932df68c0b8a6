import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The path of one of our own modules that is started as a process, named from the project's folder without extension:
 * `.ts` in a checkout, `.js` in a packed install.
 */
export function moduleFile(name: string): string {
  return fileURLToPath(new URL(`../${name}${extname(import.meta.url)}`, import.meta.url));
}
