import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { openSqliteLedger } from '../../../stores/ledger/sqlite.ts';
import { MIGRATIONS } from '../../../stores/ledger/sqlite/schema.ts';
import { CONNECTION, hour, load, owner, page, request, schema, SINK } from '../../contract/ledger-fixture.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const TABLES = `SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name`;
const versions = MIGRATIONS.map((_, index) => index + 1);

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'ledger-old-'));
  await work(join(root, 'ledger.db'));
  await rm(root, { recursive: true });
}

function restore(path: string, dump: string): void {
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  db.exec(dump);
  db.close();
}

test('there is one golden file per version', async () => {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.sql'));
  expect(files.sort()).toEqual(versions.map((version) => `v${version}.sql`).sort());
});

test.each(versions)('a ledger of version %i opens, keeps everything and goes on', async (version) => {
  await withFile(async (path) => {
    restore(path, await readFile(join(FOLDER, `v${version}.sql`), 'utf8'));
    const ledger = await openSqliteLedger({ path });
    const coverage = await ledger.coverage(CONNECTION, 'Contact');
    expect(coverage).toEqual([{ from: '0001-01-01T00:00:00.000Z', until: hour(2) }]);
    expect(await ledger.sinkCoverage(SINK, CONNECTION, 'Contact')).toEqual([
      { from: '0001-01-01T00:00:00.000Z', until: hour(1) },
    ]);
    expect(await ledger.sinkState(SINK)).toEqual({ epoch: 'e', seq: 1 });
    expect(await ledger.undelivered(SINK, CONNECTION)).toHaveLength(1);
    const [open] = await ledger.openWindows(CONNECTION);
    expect(open).toMatchObject({ from: hour(2), until: hour(3), attempt: 2, owner: owner('two') });
    expect((await ledger.progress(open?.id ?? '')).slices).toMatchObject([
      { cursor: { next: 1 }, pages: [page(0, 0)] },
    ]);
    expect(await ledger.loads(SINK, (await ledger.windows({ limit: 10 })).at(-1)?.id ?? '')).toEqual([
      load('b_0'),
    ]);
    expect(await ledger.schema(CONNECTION, 'Contact')).toEqual({ schema, at: hour(1) });
    expect(await ledger.runs({ limit: 5 })).toMatchObject([{ runId: 'run-one', outcome: 'ok' }]);
    expect(await ledger.meta('stage')).toBe('stage-1');
    expect(await ledger.quota(CONNECTION)).toEqual({ used: 5, limit: 100, at: hour(1) });
    const next = await ledger.planWindow(request(hour(4), { owner: owner('three') }));
    expect(next).toMatchObject({ kind: 'window', window: { from: hour(3), until: hour(4) } });
    await ledger.close();
  });
});

test('a migrated file has the tables of a new one, and a released version never changes', async () => {
  await withFile(async (path) => {
    await (await openSqliteLedger({ path })).close();
    const fresh = new DatabaseSync(path);
    for (const version of versions) {
      await withFile(async (old) => {
        restore(old, await readFile(join(FOLDER, `v${version}.sql`), 'utf8'));
        const before = new DatabaseSync(old);
        expect(before.prepare('PRAGMA user_version').get()).toEqual({ user_version: version });
        const replayed = new DatabaseSync(':memory:');
        for (const migration of MIGRATIONS.slice(0, version)) replayed.exec(migration);
        expect(before.prepare(TABLES).all()).toEqual(replayed.prepare(TABLES).all());
        before.close();
        await (await openSqliteLedger({ path: old })).close();
        const migrated = new DatabaseSync(old);
        expect(migrated.prepare(TABLES).all()).toEqual(fresh.prepare(TABLES).all());
        migrated.close();
      });
    }
    fresh.close();
  });
});

test('a ledger of a later Headwater is refused and left as it is', async () => {
  await withFile(async (path) => {
    restore(path, `PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    await expect(openSqliteLedger({ path })).rejects.toEqual(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});
