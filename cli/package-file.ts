import { readFileSync } from 'node:fs';
import { z } from 'zod';

const packageSchema = z.object({ name: z.string(), version: z.string() });

/** Our own package.json: one folder up in a checkout, two in a packed install (`dist/cli`). */
export function readPackage(): { name: string; version: string } {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const parsed = packageSchema.safeParse(
        JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')),
      );
      if (parsed.success) return parsed.data;
    } catch {
      // Not here: the next place.
    }
  }
  return { name: 'headwater', version: 'unknown' };
}
