/** What no erasure here can reach, in the words of the report: who has to act, or until when it lasts. */
export function alwaysRemains(referring: number): string[] {
  return [
    'The source systems still hold this customer: erase it there as well. Until then Headwater reads the records, leaves them out and counts them.',
    'Copies that were made of these stores, such as backups and exported files, hold it until they expire.',
    'The history of Temporal holds counts and ids that lead nowhere any more, never a value.',
    ...(referring === 0
      ? []
      : [
          `${referring} other records, such as activities and tickets, name one of the records by its id; they are records of their own.`,
        ]),
  ];
}
