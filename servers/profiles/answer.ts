import { isMasked } from '../../rules/consent.ts';
import type { Freshness, SourcesState } from './freshness.ts';
import { sightId, type Sight } from './mask.ts';
import { ages, observedMs, observedOf, type FieldPiece, type Model } from './model.ts';

export interface View {
  sight: Sight;
  nowMs: number;
  /** The end of what is proven; null for a moment in the past, of which nobody says how fresh it was. */
  freshness: Freshness | null;
  /** Records, as `source:object:record`, that are known to have changed and could not be read yet. */
  unread: readonly string[];
}

export interface Ages {
  /** Of the oldest value that would be served and that a source stands behind, ms; null: there is none. */
  oldestMs: number | null;
  /** Some value is older than its field allows. */
  anyStale: boolean;
  /** Live fields that are too old to be served. */
  outdated: string[];
  sources: SourcesState;
  /** What is shown, and what of it is from when: looked at once per answer. */
  shown: Seen;
  observed: ReturnType<typeof observedOf>;
}

const NO_SOURCES: SourcesState = { state: 'unknown', text: '{}' };

interface Seen {
  pieces: FieldPiece[];
  redactions: string[];
}

/** Field by field what is shown, and the names of what is not. */
function seen(model: Model, sight: Sight): Seen {
  const pieces: FieldPiece[] = [];
  const redactions: string[] = [];
  for (const piece of model.fields) {
    if (sight.fields !== null && !sight.fields.has(piece.name)) continue;
    if (isMasked(piece, sight, model.denied)) redactions.push(piece.name);
    else pieces.push(piece);
  }
  return { pieces, redactions };
}

/** How old what would be served is. The clock of the view is that of the answer. */
export function agesOf(model: Model, { sight, nowMs, freshness }: View): Ages {
  const observed = observedOf(model, (source, object) => freshness?.watermark(source, object) ?? null);
  let oldestMs: number | null = null;
  let anyStale = false;
  const outdated: string[] = [];
  const shown = seen(model, sight);
  for (const piece of shown.pieces) {
    if (!ages(piece)) continue;
    const ageMs = nowMs - observedMs(piece, observed);
    if (oldestMs === null || ageMs > oldestMs) oldestMs = ageMs;
    if (piece.staleMs !== null && ageMs > piece.staleMs) anyStale = true;
    if (piece.liveMs !== null && ageMs > piece.liveMs) outdated.push(piece.name);
  }
  const sources = freshness === null ? NO_SOURCES : freshness.sources(model.records);
  return { oldestMs, anyStale, outdated, sources, shown, observed };
}

/** Strong enough for If-None-Match: ages and lags move on with the clock and are no news. */
export function tagOf(model: Model, { sight }: View, state: SourcesState['state']): string {
  const supposed = model.supposed === '' ? '' : `-${model.supposed}`;
  return `W/"${model.version}-${state}-${sightId(sight, model)}${supposed}"`;
}

/**
 * The answer as JSON. Live fields that are too old are left out with a reason; `stale`: why the whole is older than it was asked
 * for, in our words.
 */
export function answerText(
  model: Model,
  view: Pick<View, 'nowMs' | 'unread'>,
  told: Ages,
  stale: string | null,
): string {
  const { nowMs, unread } = view;
  const { observed, shown } = told;
  const { pieces, redactions } = shown;
  const texts = moments(nowMs);
  let fields = '';
  for (const piece of pieces) {
    const at = observedMs(piece, observed);
    const ageMs = Math.max(0, nowMs - at);
    if (piece.liveMs !== null && ageMs > piece.liveMs) continue;
    const isStale = piece.staleMs !== null && ages(piece) && ageMs > piece.staleMs;
    const comma = fields === '' ? '' : ',';
    fields += `${comma}${piece.before}${texts(at)},"stale":${isStale}${piece.after}`;
  }
  const omitted =
    told.outdated.length === 0
      ? ''
      : `,"omitted":${JSON.stringify(told.outdated.map((field) => ({ field, reason: LIVE_REASON })))}`;
  const staleness = stale === null ? '' : `,"stale":true,"stale_reason":${JSON.stringify(stale)}`;
  const pending = unread.length === 0 ? '' : `,"refresh_pending":${JSON.stringify(unread)}`;
  const deleted = model.deleted ? ',"deleted":true' : '';
  return `{"profile_id":"${model.profile}","entity":${JSON.stringify(model.entity)},"version":${model.version},"as_of":"${new Date(nowMs).toISOString()}"${deleted}${staleness},"fields":{${fields}},"freshness":{"state":"${told.sources.state}","sources":${told.sources.text}${pending}},${model.aliases},"redactions":${JSON.stringify(redactions)}${omitted},${model.links}}`;
}

const LIVE_REASON = 'too old: its source did not answer in time';

/** Nearly all fields of a profile were observed at the same few moments, so their texts are made once. */
function moments(nowMs: number): (at: number) => string {
  let lastAt = NaN;
  let last = '';
  return (at) => {
    if (at !== lastAt) {
      lastAt = at;
      const ageS = Math.max(0, Math.floor((nowMs - at) / 1_000));
      last = `,"observed_at":"${new Date(at).toISOString()}","age_s":${ageS}`;
    }
    return last;
  };
}
