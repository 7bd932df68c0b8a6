import type { FastifyInstance, FastifyReply } from 'fastify';
import { batchSchema, profileQuerySchema, type ProfileQuery } from '../../schemas/api/request.ts';
import { Problem } from '../problem.ts';
import { agesOf, answerText } from './answer.ts';
import { maySee, sightOf } from './mask.ts';
import { readProfile, viewOf, type Read } from './read.ts';
import { keyOf, moved, parsed, queryText, sendJson } from './requests.ts';
import type { ProfileService } from './service.ts';

const NO_QUERY: ProfileQuery = {};

export function readRoutes(app: FastifyInstance, service: ProfileService): void {
  const onRequest = app.requires('read');

  app.get<{ Params: { id: string } }>('/v1/profiles/:id', { onRequest }, async (request, reply) => {
    const url = request.raw.url ?? '';
    const text = queryText(url);
    const query = text === '' ? NO_QUERY : parsed(profileQuerySchema, request.query);
    const sight = sightOf(keyOf(request), query.fields);
    const read = await readProfile(
      service,
      request.params.id,
      sight,
      query,
      request.headers['if-none-match'],
    );
    return await answer(reply, read, text);
  });

  app.post('/v1/profiles/batch', { onRequest }, async (request, reply) => {
    const { ids, fields } = parsed(batchSchema, request.body);
    const sight = sightOf(keyOf(request), fields);
    const found = await service.reader.readMany(ids);
    const profiles: string[] = [];
    const problems: { profile_id: string; status: number; location?: string }[] = [];
    for (const [at, one] of found.entries()) {
      const id = ids[at] ?? '';
      if (one.kind === 'profile' && maySee(sight, one.model.entity)) {
        const model = await service.supposing(one.model);
        const view = await viewOf(service, model, sight);
        profiles.push(answerText(model, view, agesOf(model, view), null));
      } else if (one.kind === 'alias') {
        problems.push({ profile_id: id, status: 308, location: moved(one.target, '') });
      } else {
        const status = { profile: 403, erased: 410, unknown: 404 }[one.kind];
        problems.push({ profile_id: id, status });
      }
    }
    return await sendJson(
      reply,
      `{"profiles":[${profiles.join(',')}],"problems":${JSON.stringify(problems)}}`,
    );
  });
}

async function answer(reply: FastifyReply, read: Read, query: string): Promise<FastifyReply> {
  if (read.kind === 'moved') {
    const location = moved(read.target, query);
    reply.header('location', location);
    throw new Problem(308, 'This profile was merged into another one.', { more: { location } });
  }
  reply.header('etag', read.tag);
  if (read.kind === 'same') return reply.code(304).send();
  return await sendJson(reply, read.text);
}
