import { inboxPlace } from '../config/inbox.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { missedKey, parseMissed, type Missed } from '../schemas/inbox-run.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { countOf } from '../rules/report.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Topic } from '../schemas/topic.ts';
import type { Inbox, InboxState } from '../stores/inbox/inbox.ts';
import { openInbox } from '../stores/inbox/open.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { followedText } from './followed.ts';
import { ago } from './words.ts';

/** What one connection pushed, and whether that can be relied on. */
export interface Pushed {
  connection: string;
  waiting: number;
  parked: number;
  oldestAt: Instant | null;
  lastAt: Instant | null;
  /** No event, and no word of a followed topic, for longer than `webhooks.quietAfter`. */
  quiet: boolean;
  /** Changes that a poll brought and no webhook, since the last poll that found none. */
  missed: Missed | null;
  /** What it follows, without the places. */
  topics: Omit<Topic, 'position'>[];
}

async function inboxIfAny(loaded: Pick<LoadedConfig, 'config' | 'home'>): Promise<Inbox | undefined> {
  try {
    return await openInbox({ ...inboxPlace(loaded), existing: true });
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'INPUT_INVALID') return undefined;
    throw error;
  }
}

/** Undefined where nothing was ever pushed. */
export async function withInbox<T>(
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  work: (inbox: Inbox) => Promise<T>,
): Promise<T | undefined> {
  const inbox = await inboxIfAny(loaded);
  if (inbox === undefined) return undefined;
  try {
    return await work(inbox);
  } finally {
    await inbox.close();
  }
}

/** One line for each connection that takes webhooks. */
export async function pushedLines(
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  ledger: Ledger,
  only?: string,
): Promise<{ facts: Pushed; text: string }[]> {
  const kept = await withInbox(loaded, async (inbox) => ({
    states: await inbox.states(),
    topics: await inbox.topics(),
  }));
  const { states, topics: followed } = kept ?? { states: [], topics: [] };
  const nowMs = Date.now();
  const lines: { facts: Pushed; text: string }[] = [];
  for (const { name, webhooks } of Object.values(loaded.config.connections)) {
    if (webhooks === undefined || (only !== undefined && only !== name)) continue;
    const none: InboxState = {
      connection: name,
      waiting: 0,
      parked: 0,
      oldestAt: null,
      lastAt: null,
      heardAt: null,
    };
    const { waiting, parked, oldestAt, lastAt, heardAt } =
      states.find((one) => one.connection === name) ?? none;
    const { quietAfter } = webhooks;
    const quiet = quietAfter !== null && heardAt !== null && nowMs - Date.parse(heardAt) > quietAfter;
    const missed = parseMissed(await ledger.meta(missedKey(name)));
    const mine = followed.filter((topic) => topic.connection === name);
    const topics = mine.map(({ position: _place, ...topic }) => topic);
    const facts = { connection: name, waiting, parked, oldestAt, lastAt, quiet, missed, topics };
    const text = [textOf(facts, nowMs), ...mine.map((topic) => followedText(topic, nowMs))].join('\n');
    lines.push({ facts, text });
  }
  return lines;
}

function textOf(
  { connection, waiting, parked, oldestAt, lastAt, quiet, missed }: Pushed,
  nowMs: number,
): string {
  const since = (at: Instant) => ago(nowMs - Date.parse(at));
  const last = lastAt === null ? 'no event yet' : `last event ${since(lastAt)} ago`;
  const waits =
    oldestAt === null
      ? ''
      : `, ${countOf(waiting, 'event')} not landed yet, the oldest for ${since(oldestAt)}`;
  const aside =
    parked === 0 ? '' : `, ✗ ${countOf(parked, 'event')} parked: \`npx headwater inbox ${connection}\``;
  const silence = quiet ? ', ! quiet: polled until events come back' : '';
  const lost =
    missed === null
      ? ''
      : `, ! a poll found ${countOf(missed.changes, 'change')} that no webhook brought (${missed.object})`;
  return `${connection}: webhooks, ${last}${waits}${aside}${silence}${lost}`;
}
