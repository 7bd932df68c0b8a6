import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startHubSpotSandbox, type HubSpotSandbox } from '../../../../sandbox/hubspot/server.ts';
import { startSalesforceSandbox, type SalesforceSandbox } from '../../../../sandbox/salesforce/server.ts';

let hubspot: HubSpotSandbox;
let salesforce: SalesforceSandbox;
type Row = Readonly<Record<string, string | null>>;

beforeAll(async () => {
  hubspot = await startHubSpotSandbox({ records: 10_000, seed: 7 });
  salesforce = await startSalesforceSandbox({ records: 10_000, seed: 7 });
});
afterAll(async () => {
  await hubspot.close();
  await salesforce.close();
});

async function rowsOf(sandbox: HubSpotSandbox | SalesforceSandbox, object: string): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of sandbox.data.truth(object)) rows.push(row.values);
  return rows;
}

const lower = (text: string | null | undefined): string => (text ?? '').toLowerCase();

test('about three of five contacts share an e-mail with a Contact or a Lead, each with one of them', async () => {
  const people = [...(await rowsOf(salesforce, 'Contact')), ...(await rowsOf(salesforce, 'Lead'))];
  const known = new Map(
    people.filter((row) => row['Email'] !== null).map((row) => [lower(row['Email']), row]),
  );
  const contacts = await rowsOf(hubspot, 'contacts');
  const shared = contacts.filter((row) => row['email'] !== null && known.has(lower(row['email'])));
  expect(shared.length / contacts.length).toBeGreaterThan(0.53);
  expect(shared.length / contacts.length).toBeLessThan(0.65);
  const mails = contacts.flatMap((row) => (row['email'] === null ? [] : [lower(row['email'])]));
  // A Contact and a Lead of one name and number share an e-mail in Salesforce already.
  expect(new Set(mails).size).toBeGreaterThan(mails.length * 0.99);
  const differs = (mine: string, theirs: string): number =>
    shared.filter((row) => {
      const other = known.get(lower(row['email']));
      return other?.[theirs] !== null && other?.[theirs] !== row[mine];
    }).length / shared.length;
  const caseDiffers = shared.filter(
    (row) => row['email'] !== known.get(lower(row['email']))?.['Email'],
  ).length;
  expect(caseDiffers).toBeGreaterThan(100);
  expect(differs('phone', 'Phone')).toBeGreaterThan(0.6);
  expect(differs('jobtitle', 'Title')).toBeGreaterThan(0.2);
  expect(differs('lastname', 'LastName')).toBeGreaterThan(0.05);
  expect(differs('lastname', 'LastName')).toBeLessThan(0.4);
  expect(differs('hs_email_optout', 'HasOptedOutOfEmail')).toBeGreaterThan(0.1);
});

test('companies share their domain with Accounts, and contacts work where their twins do', async () => {
  const sites = new Map(
    (await rowsOf(salesforce, 'Account')).map((row) => [
      lower(row['Website']).replace('https://www.', ''),
      row,
    ]),
  );
  const companies = await rowsOf(hubspot, 'companies');
  const shared = companies.filter((row) => row['domain'] !== null && sites.has(lower(row['domain'])));
  expect(shared.length / companies.length).toBeGreaterThan(0.5);
  const names = shared.filter((row) => row['name'] === sites.get(lower(row['domain']))?.['Name']);
  expect(names.length).toBeGreaterThan(shared.length * 0.5);
  expect(names.length).toBeLessThan(shared.length * 0.9);
});

test('the same seed and size give the same values, another seed gives others', async () => {
  const startedAt = Date.UTC(2026, 5, 1);
  const read = async (seed: number): Promise<Row[]> => {
    const sandbox = await startHubSpotSandbox({ records: 300, seed, now: () => startedAt });
    const rows = await rowsOf(sandbox, 'contacts');
    await sandbox.close();
    return rows;
  };
  const first = await read(7);
  expect(await read(7)).toEqual(first);
  expect(await read(8)).not.toEqual(first);
});
