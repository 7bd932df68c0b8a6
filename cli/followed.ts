import type { Instant } from '../schemas/instant.ts';
import type { Topic } from '../schemas/topic.ts';
import { ago } from './words.ts';

/** A source speaks every five minutes at least; what is silent for longer is not followed, whatever was kept last. */
const SILENT_MS_MAX = 10 * 60_000;

/** One line of a topic that a connection follows. */
export function followedText({ topic, since, heardAt, trouble, owed }: Topic, nowMs: number): string {
  const from = (at: Instant) => ago(nowMs - Date.parse(at));
  const heard = heardAt === null ? '' : `, heard ${from(heardAt)} ago`;
  const isHeard = heardAt !== null && nowMs - Date.parse(heardAt) <= SILENT_MS_MAX;
  const debt =
    owed === null
      ? ''
      : `, a run will look for changes of ${owed.objects === 'all' ? 'all objects' : owed.objects.join(', ')}`;
  const how =
    trouble !== null
      ? `✗ not followed: ${trouble}${heard}`
      : since === null || !isHeard
        ? `! not followed now${heard}`
        : `followed since ${from(since)}${heard}`;
  return `  ${topic}: ${how}${debt}`;
}
