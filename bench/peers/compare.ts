import type { BenchOptions } from '../options.ts';
import type { Figure } from '../figures.ts';
export async function peers(_options: BenchOptions): Promise<Figure[]> {
  return [];
}
