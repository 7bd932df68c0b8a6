import { HeadwaterError } from '../../rules/errors.ts';
import { oneOf, wholeNumber } from '../chosen.ts';
import { actorOf } from '../approve.ts';
import { withClaims } from '../claims.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { refText, valueText, when } from '../profile-words.ts';
import type { Claims } from '../../stores/claims/claims.ts';

const REVIEWS_MAX = 1_000;

export const conflicts: Command = {
  name: 'conflicts',
  summary: 'Ties and unsafe links that wait for a person',
  usage: 'list | resolve <case> <decision>',
  example: 'conflicts list',
  about:
    'A decision is the claim that holds (a tie), or `link` or `apart` (records that may be one customer).\nThe same cases stand in the Temporal UI as workflow `review`. Values are real customer data.',
  options: {
    all: { type: 'boolean', help: 'list: also those that are decided' },
    limit: { type: 'string', value: '<n>', help: 'list: cases to show; default 50' },
    reason: { type: 'string', value: '<text>', help: 'resolve: why; kept in the log for ever' },
  },
  arguments: { min: 1, max: 3 },
  run: (call) =>
    withClaims(call, async (claims) => {
      const [action = '', id, decision] = call.arguments;
      if (oneOf('conflicts', action, ['list', 'resolve']) === 'list') return list(call, claims);
      if (id === undefined || decision === undefined) {
        throw new HeadwaterError('INPUT_INVALID', 'the case and the decision are needed', {
          remedy: 'Write `npx headwater conflicts resolve <case> <claim | link | apart>`.',
        });
      }
      const at = new Date().toISOString();
      const reason = call.options.text('reason') ?? null;
      const cause = { via: 'operator' as const, run: null, actor: actorOf(call), reason, at };
      await claims.resolveReview(id, decision, cause);
      if (call.json) call.output.json({ review: id, decision });
      else call.output.line(`Decided: ${decision}.`);
      return EXIT.ok;
    }),
};

async function list(call: Call, claims: Claims): Promise<number> {
  const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: REVIEWS_MAX, or: 50 });
  const found = await claims.reviews({ limit, ...(call.options.flag('all') ? {} : { state: 'open' }) });
  if (call.json) {
    call.output.json(found);
    return EXIT.ok;
  }
  if (found.length === 0) call.output.line('Nothing waits for a decision.');
  for (const review of found) {
    const state = review.state === 'open' ? 'open' : `decided: ${review.decision ?? ''}`;
    const what = review.kind === 'tie' ? `tie in ${review.field ?? ''}` : 'one customer or two?';
    call.output.line(
      `${review.id} · ${review.entity} ${review.profile} · ${what} · ${review.evidence} · ${when(review.openedAt)} · ${state}`,
    );
    for (const { ref, claim, value } of review.candidates) {
      const choice = review.kind === 'tie' ? (claim ?? '') : '';
      call.output.line(`  ${[choice, refText(ref), valueText(value)].filter(Boolean).join('  ')}`);
    }
  }
  return EXIT.ok;
}
