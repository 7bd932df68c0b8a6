import type { DeliveryReceipt } from '../schemas/notification.ts';
import { countOf, formatCount, formatInstant } from './report.ts';

export const NOTHING_DELIVERED: DeliveryReceipt = {
  ...{ delivered: 0, passed: 0, givenUp: 0, waiting: 0 },
  ...{ failingSince: null, lastCode: null, disabled: false },
};

/** Counts add up; what waits, and why, is as of the later one. */
export function addDelivered(sum: DeliveryReceipt, more: DeliveryReceipt): DeliveryReceipt {
  return {
    ...more,
    delivered: sum.delivered + more.delivered,
    passed: sum.passed + more.passed,
    givenUp: sum.givenUp + more.givenUp,
  };
}

/** For the Temporal UI: what a subscriber was told so far. */
export function notifyReport(subscription: string, sum: DeliveryReceipt): string {
  const lines = [
    `**${subscription}**: changed profiles`,
    '',
    '| delivered | passed over | waiting | given up |',
    '|---:|---:|---:|---:|',
    `| ${[sum.delivered, sum.passed, sum.waiting, sum.givenUp].map(formatCount).join(' | ')} |`,
  ];
  if (sum.disabled)
    lines.push(
      '',
      'The receiver answered 410: it wants no more. `headwater serve` asks again when it starts.',
    );
  else if (sum.failingSince !== null)
    lines.push(
      '',
      `Failing since ${formatInstant(sum.failingSince)} UTC: \`${sum.lastCode ?? ''}\`. Changes wait; they are tried again for three days.`,
    );
  if (sum.givenUp > 0)
    lines.push('', `${countOf(sum.givenUp, 'change')} given up after three days: read those profiles anew.`);
  return lines.join('\n');
}
