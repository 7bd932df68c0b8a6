/** The profile API over real stores: what it answers, to whom, and how old it may be. Every answer is held against its OpenAPI. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import {
  at,
  record,
  START_MS,
  startProfileApi,
  type Answer,
  type ProfileApi,
} from '../support/profile-api.ts';

const run = promisify(execFile);
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let api: ProfileApi;
let shapes: Record<string, z.ZodType>;
let ann: string;

const ANN = {
  email: 'ann@example.org',
  phone: '+436641234567',
  firstName: 'Ann',
  jobTitle: 'Engineer',
  company: 'Acme',
  birthday: '1990-02-03',
};

beforeAll(async () => {
  api = await startProfileApi();
  const { body } = await api.get('/v1/openapi.json', { key: '' });
  // By themselves, as a JSON Schema reader takes them.
  const text = JSON.stringify(body.components.schemas).replaceAll('#/components/schemas/', '#/$defs/');
  const $defs: Record<string, z.core.JSONSchema.JSONSchema> = JSON.parse(text);
  const $schema = 'https://json-schema.org/draft/2020-12/schema';
  shapes = Object.fromEntries(
    Object.entries($defs).map(([name, schema]) => [name, z.fromJSONSchema({ ...schema, $schema, $defs })]),
  );
  await api.apply(record('contact', 'Contact', 'ann', ANN));
  ann = await api.idOf('Contact', 'ann');
  await api.prove('Contact', START_MS - 5 * MINUTE_MS);
}, 60_000);
afterAll(async () => await api.close());
beforeEach(() => {
  api.clock.ms = START_MS;
});

/** Fits what the document says of it. */
function expectShape(name: string, { body }: Answer): void {
  expect(shapes[name]?.safeParse(body).error?.issues ?? []).toEqual([]);
  expect(shapes[name]).toBeDefined();
}

function expectProblem(answer: Answer, status: number): void {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.body).toMatchObject({ type: 'about:blank', status });
  expectShape('Problem', answer);
}

/** Asks again until the cache has followed. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const until = performance.now() + 3_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await sleep(5);
    }
  }
}

test('the OpenAPI document names every route, and each of its references leads to something', async () => {
  const { body, text } = await api.get('/v1/openapi.json', { key: '' });
  expect(Object.keys(body.paths)).toEqual(expect.arrayContaining(['/v1/changes/{id}', '/v1/events']));
  expect(Object.keys(body.paths['/v1/profiles/{id}'])).toEqual(['get', 'patch']);
  const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path.split('/'));
  expect(references.length).toBeGreaterThan(20);
  for (const path of references)
    expect([path, path.reduce<Answer['body']>((at, step) => at?.[step], body)]).toEqual([
      path,
      expect.anything(),
    ]);
});

describe('reading a profile', () => {
  test('is the read model, with ages by what is proven', async () => {
    const answer = await api.get(`/v1/profiles/${ann}`);
    expect(answer.status).toBe(200);
    expectShape('Profile', answer);
    expect(answer.body).toEqual({
      profile_id: ann,
      entity: 'contact',
      version: 1,
      as_of: at(START_MS),
      fields: expect.objectContaining({
        email: {
          value: 'ann@example.org',
          source: 'crm',
          record: 'crm:Contact:ann',
          claim: expect.any(String),
          explicit: true,
          observed_at: at(START_MS - 5 * MINUTE_MS),
          age_s: 300,
          stale: false,
          contested: false,
        },
      }),
      freshness: {
        state: 'fresh',
        sources: {
          crm: {
            state: 'fresh',
            last_success: null,
            watermark: at(START_MS - 5 * MINUTE_MS),
            lag_s: 300,
            warn_after_s: 5_400,
            error_after_s: 7_200,
          },
        },
      },
      aliases: [],
      redactions: [],
      links: [{ source: 'crm', object: 'Contact', record: 'ann', deleted: false }],
    });
  });

  test('grows stale by the watermark, not by the newest row', async () => {
    api.clock.ms = START_MS + 100 * MINUTE_MS;
    const late = await api.get(`/v1/profiles/${ann}`);
    expectShape('Profile', late);
    expect(late.body.freshness.state).toBe('warn');
    expect(late.body.fields.email).toMatchObject({ age_s: 6_300, stale: false });
    api.clock.ms = START_MS + 3 * HOUR_MS;
    const stale = await api.get(`/v1/profiles/${ann}`);
    expect(stale.body.freshness.state).toBe('stale');
    expect(stale.body.fields.email.stale).toBe(true);
    // A job title has no limit of its own.
    expect(stale.body.fields.jobTitle.stale).toBe(false);
  });

  test('answers 304 to its own tag, and not after a change or to somebody who sees less', async () => {
    const first = await api.get(`/v1/profiles/${ann}`);
    const tag = first.headers.get('etag') ?? '';
    const headers = { 'if-none-match': tag };
    api.clock.ms = START_MS + 1_000;
    expect((await api.get(`/v1/profiles/${ann}`, { headers })).status).toBe(304);
    expect((await api.get(`/v1/profiles/${ann}`, { headers, key: 'plain' })).status).toBe(200);
    expect((await api.get(`/v1/profiles/${ann}?fields=email`, { headers })).status).toBe(200);
    api.clock.ms = START_MS + 3 * HOUR_MS;
    expect((await api.get(`/v1/profiles/${ann}`, { headers })).status).toBe(200);
    api.clock.ms = START_MS;
    await api.apply(record('contact', 'Contact', 'ann', { ...ANN, jobTitle: 'Director' }, START_MS));
    await eventually(async () => {
      const changed = await api.get(`/v1/profiles/${ann}`, { headers });
      expect(changed.status).toBe(200);
      expect(changed.body.fields.jobTitle.value).toBe('Director');
    });
  });

  test('as of a moment is what was known then', async () => {
    const bob = { email: 'bob@example.org', jobTitle: 'Clerk' };
    await api.apply(record('contact', 'Contact', 'bob', bob, START_MS - 2 * HOUR_MS));
    const id = await api.idOf('Contact', 'bob');
    api.clock.ms = START_MS + 10 * MINUTE_MS;
    await api.apply(record('contact', 'Contact', 'bob', { ...bob, jobTitle: 'Chief' }, START_MS));
    const then = await api.get(`/v1/profiles/${id}?as_of=${at(START_MS + MINUTE_MS)}`);
    expectShape('Profile', then);
    expect(then.body).toMatchObject({ as_of: at(START_MS + MINUTE_MS), freshness: { state: 'unknown' } });
    expect(then.body.fields.jobTitle.value).toBe('Clerk');
    expectProblem(await api.get(`/v1/profiles/${id}?as_of=${at(START_MS - MINUTE_MS)}`), 404);
  });

  test('only the fields that were asked for', async () => {
    const { body } = await api.get(`/v1/profiles/${ann}?fields=email,birthday`, { key: 'plain' });
    expect(Object.keys(body.fields)).toEqual(['email']);
    expect(body.redactions).toEqual(['birthday']);
  });

  test('who may not, who is unknown and what is no request are told so', async () => {
    expectProblem(await api.get(`/v1/profiles/${ann}`, { key: 'hw_nobody' }), 401);
    expectProblem(await api.get(`/v1/profiles/${ann}`, { key: 'ingest' }), 403);
    expectProblem(await api.get(`/v1/profiles/${ann}`, { key: 'orders' }), 403);
    expectProblem(await api.get('/v1/profiles/p_unknown'), 404);
    expectProblem(await api.get(`/v1/profiles/p_${'0'.repeat(32)}`), 404);
    expectProblem(await api.get(`/v1/profiles/${ann}?max_age=soon`), 400);
    expectProblem(await api.get(`/v1/profiles/${ann}?secret=ann@example.org`), 400);
    expectProblem(await api.post('/v1/profiles/batch', { ids: [] }), 400);
    expectProblem(await api.post('/v1/profiles/lookup', { email: 'a@b.c', phone: '+43' }), 400);
    expectProblem(await api.post('/v1/profiles/lookup', '{"email"'), 400);
    expectProblem(await api.get('/v1/nothing'), 404);
  });
});

describe('masks', () => {
  test('what a key does not see is named and nowhere in the answer', async () => {
    const plain = await api.get(`/v1/profiles/${ann}`, { key: 'plain' });
    expectShape('Profile', plain);
    expect(plain.body.redactions).toEqual(['birthday']);
    expect(plain.text).not.toContain(ANN.birthday);
    const business = await api.get(`/v1/profiles/${ann}`, { key: 'business' });
    for (const secret of [ANN.email, ANN.phone, '"Ann"', ANN.birthday])
      expect(business.text).not.toContain(secret);
    expect(Object.keys(business.body.fields)).toEqual(['company']);
  });

  test('explain and history keep to the mask', async () => {
    expectProblem(await api.get(`/v1/profiles/${ann}/explain/birthday`, { key: 'plain' }), 403);
    expectProblem(await api.get(`/v1/profiles/${ann}/history?field=birthday`, { key: 'plain' }), 403);
    const explained = await api.get(`/v1/profiles/${ann}/explain/email`);
    expectShape('Explanation', explained);
    expect(explained.body).toMatchObject({ value: ANN.email, considered: [{ outcome: 'won' }] });
    expectProblem(await api.get(`/v1/profiles/${ann}/explain/nothing`), 404);
    const history = await api.get(`/v1/profiles/${ann}/history`, { key: 'plain' });
    expectShape('History', history);
    expect(history.body.redactions).toEqual(['birthday']);
    expect(history.text).not.toContain(ANN.birthday);
    const one = await api.get(`/v1/profiles/${ann}/history?field=email&limit=1`);
    expectShape('History', one);
    expect(one.body.events).toHaveLength(1);
    expect(one.body.events[0].fields).toEqual({ email: ANN.email });
  });

  test('what a person denied is masked at once, for whoever needs that consent, and comes back when it is given', async () => {
    const person = { email: 'carl@example.org', firstName: 'Carl', company: 'Acme', score: '0.9' };
    await api.apply(record('contact', 'Contact', 'carl', person, undefined, { inferred: { score: 0.9 } }));
    const id = await api.idOf('Contact', 'carl');
    const read = async (key: string) => await api.get(`/v1/profiles/${id}`, { key });
    expect((await read('marketing')).body.fields.firstName.value).toBe('Carl');
    const consent = (emailMarketing: boolean, profiling: boolean, ms: number) =>
      record('consent', 'Contact/consent', 'carl', { email: person.email, emailMarketing, profiling }, ms);
    await api.apply(consent(false, true, START_MS - 30 * MINUTE_MS));
    await eventually(async () => expect((await read('marketing')).text).not.toContain('Carl'));
    const masked = await read('marketing');
    expect(masked.body.redactions).toEqual(['email', 'firstName']);
    expect(masked.text).not.toContain('carl@');
    expect((await read('all')).body.fields.firstName.value).toBe('Carl');
    await api.apply(consent(true, false, START_MS - 20 * MINUTE_MS));
    await eventually(async () => expect((await read('marketing')).text).toContain('Carl'));
    // Nothing computed about a person who denied profiling is served to anybody.
    expect((await read('all')).body.redactions).toEqual(['score']);
  });
});

describe('finding', () => {
  test('by identifiers as people write them, by record and by other kinds', async () => {
    for (const by of [
      { email: ' ANN@Example.org ' },
      { phone: '+43 664 123 45 67' },
      { record: 'crm:Contact:ann' },
      { identifier: { kind: 'email', value: ANN.email }, entity: 'contact' },
    ]) {
      const found = await api.post('/v1/profiles/lookup', by);
      expectShape('Lookup', found);
      expect(found.body.matches.map(({ profile_id }: { profile_id: string }) => profile_id)).toEqual([ann]);
    }
    const none = await api.post('/v1/profiles/lookup', { email: 'nobody@example.org' });
    expect(none.body).toEqual({ matches: [], more: false });
    expect(
      (await api.post('/v1/profiles/lookup', { email: ANN.email }, { key: 'orders' })).body.matches,
    ).toEqual([]);
    expectProblem(
      await api.post('/v1/profiles/lookup', { email: ANN.email, entity: 'contact' }, { key: 'orders' }),
      403,
    );
    expectProblem(await api.post('/v1/profiles/lookup', { email: ANN.email, entity: 'cat' }), 400);
  });

  test('many at once, with what became of the others', async () => {
    const batch = await api.post('/v1/profiles/batch', { ids: ['p_none', ann, ann], fields: ['email'] });
    expectShape('Batch', batch);
    expect(batch.body.profiles.map(({ profile_id }: { profile_id: string }) => profile_id)).toEqual([
      ann,
      ann,
    ]);
    expect(batch.body.problems).toEqual([{ profile_id: 'p_none', status: 404 }]);
    const hidden = await api.post('/v1/profiles/batch', { ids: [ann] }, { key: 'orders' });
    expect(hidden.body).toEqual({ profiles: [], problems: [{ profile_id: ann, status: 403 }] });
  });

  test('orders and activities of a person, and none that went to somebody else', async () => {
    const of = (contact: string, total: string) => ({ contact: `crm:Contact:${contact}`, total });
    await api.apply(
      record('order', 'Order', 'o1', of('ann', '1.00')),
      record('order', 'Order', 'o2', of('ann', '2.00')),
      record('order', 'Order', 'o3', of('ann', '3.00')),
      record('activity', 'Task', 't1', { contact: 'crm:Contact:ann', subject: 'Called' }),
    );
    await api.apply(record('order', 'Order', 'o3', of('bob', '3.00'), START_MS));
    const related = await api.get(`/v1/profiles/${ann}/related?kinds=order,activity,deal`);
    expectShape('Related', related);
    const totals = (answer: Answer) =>
      answer.body.related.order.map(
        ({ fields }: { fields: Record<string, { value: string }> }) => fields['total']?.value,
      );
    expect(totals(related)).toEqual(['2.00', '1.00']);
    expect(related.body.related.activity).toHaveLength(1);
    expect(related.body.related.deal).toEqual([]);
    expect(totals(await api.get(`/v1/profiles/${ann}/related?kinds=order&limit=1`))).toEqual(['2.00']);
    const all = await api.get(`/v1/profiles/${ann}/related`);
    expect(Object.keys(all.body.related)).toEqual(expect.arrayContaining(['order', 'ticket', 'activity']));
    expectProblem(await api.get(`/v1/profiles/${ann}/related?kinds=product`), 400);
    expectProblem(await api.get(`/v1/profiles/${ann}/related?kinds=order&limit=0`), 400);
  });
});

describe('merged and erased', () => {
  test('an old id leads on with 308, and again stands for itself when the merge is taken back', async () => {
    await api.apply(
      record('contact', 'Contact', 'd1', { email: 'dora@example.org' }),
      record('contact', 'Contact', 'd2', { email: 'dora@example.net' }),
    );
    const [one, two] = [await api.idOf('Contact', 'd1'), await api.idOf('Contact', 'd2')];
    expect((await api.get(`/v1/profiles/${two}`)).status).toBe(200);
    const cause = { via: 'operator', run: null, actor: 'test', reason: null, at: at(START_MS) } as const;
    const refs = ['d1', 'd2'].map((name) => ({ source: 'crm', object: 'Contact', record: name }));
    await api.claims.link(refs[0]!, refs[1]!, cause);
    await eventually(async () => expectProblem(await api.get(`/v1/profiles/${two}?fields=email`), 308));
    const moved = await api.get(`/v1/profiles/${two}?fields=email`);
    expect(moved.headers.get('location')).toBe(`/v1/profiles/${one}?fields=email`);
    const followed = await fetch(`${api.url}/v1/profiles/${two}`, {
      headers: { authorization: `Bearer ${api.keys['all']}` },
    });
    expect(await followed.json()).toMatchObject({ profile_id: one, aliases: [two] });
    const batch = await api.post('/v1/profiles/batch', { ids: [two] });
    expectShape('Batch', batch);
    expect(batch.body.problems).toEqual([{ profile_id: two, status: 308, location: `/v1/profiles/${one}` }]);
    expectProblem(await api.get(`/v1/profiles/${two}/related`), 308);
    await api.claims.unlink(refs[0]!, refs[1]!, cause);
    await eventually(async () => expect((await api.get(`/v1/profiles/${two}`)).status).not.toBe(308));
  });

  test('erased is 410 at once, whatever was cached', async () => {
    await api.apply(record('contact', 'Contact', 'eve', { email: 'eve@example.org', firstName: 'Eve' }));
    const id = await api.idOf('Contact', 'eve');
    expect((await api.get(`/v1/profiles/${id}`)).text).toContain('Eve');
    await api.claims.erase(id, { via: 'operator', run: null, actor: null, reason: null, at: at(START_MS) });
    await eventually(async () => expectProblem(await api.get(`/v1/profiles/${id}`), 410));
    expectProblem(await api.get(`/v1/profiles/${id}/history`), 410);
    expectProblem(await api.get(`/v1/profiles/${id}/explain/email`), 410);
  });
});

describe('the server', () => {
  test('tells how it is, and shows a page that needs nobody else', async () => {
    await eventually(async () => {
      const health = await api.get('/v1/health', { key: '' });
      expectShape('Health', health);
      expect(health.body).toEqual({ health: 'ok', profiles: 'up', cache: 'up', current: true });
    });
    const page = await api.get('/docs', { key: '' });
    expect(page.headers.get('content-type')).toContain('text/html');
    const script = await api.get('/docs/page.js', { key: '' });
    expect(`${page.text}${script.text}`).not.toMatch(/https?:\/\//);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('an HTTP client in another process reads the same', async () => {
    const script = `const r = await fetch(process.argv[1], { headers: { authorization: process.argv[2] } });
      console.log(JSON.stringify({ status: r.status, body: await r.json() }));`;
    const { stdout } = await run(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      `${api.url}/v1/profiles/${ann}`,
      `Bearer ${api.keys['all']}`,
    ]);
    const seen = JSON.parse(stdout);
    expect(seen.status).toBe(200);
    expect(seen.body).toEqual((await api.get(`/v1/profiles/${ann}`)).body);
  });

  test('I5: no value of anybody is in the log', async () => {
    await sleep(1_100);
    expect(api.log.join('\n')).toContain('/v1/profiles/:id');
    expect(api.log.join('\n')).not.toMatch(/example\.org|\+43664|Engineer|hw_/);
  });
});
