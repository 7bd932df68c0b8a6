import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ChangeRuns } from '../changes/runs.ts';
import { Problem } from '../problem.ts';
import { keyOf } from '../profiles/requests.ts';
import type { ProfileService } from '../profiles/service.ts';
import type { Services } from '../services.ts';
import { mcpServer } from './server.ts';
import type { Desk } from './tool.ts';

/** What the transport looks at; the key stays out of it. */
const HEADERS = ['accept', 'content-type', 'mcp-protocol-version'];

/** Streamable HTTP without sessions: each POST is complete in itself, and nothing is kept between two. See docs/mcp.md. */
export function mcpRoutes(app: FastifyInstance, services: Services, profiles: ProfileService): void {
  const desk: Desk = { services, profiles, runs: new ChangeRuns(services) };

  app.post('/mcp', { onRequest: [refusePages, app.requires('read')] }, async (request, reply) => {
    // A key pays for a request: several calls in one would be cheaper than they are.
    if (Array.isArray(request.body)) throw new Problem(400, 'Send one message in a request.');
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    const server = mcpServer(desk, {
      admit: () => keyOf(request),
      note: (kind) => {
        request.outcome = kind;
      },
    });
    await server.connect(transport);
    try {
      const answer = await transport.handleRequest(webRequest(request), { parsedBody: request.body ?? null });
      reply.code(answer.status);
      const type = answer.headers.get('content-type');
      if (type !== null) reply.header('content-type', type);
      return await reply.send(await answer.text());
    } finally {
      await server.close();
    }
  });

  app.route({
    method: ['GET', 'DELETE'],
    url: '/mcp',
    handler: async (_request, reply) => {
      reply.header('allow', 'POST');
      throw new Problem(405, 'There are no sessions here: send each message with POST.');
    },
  });
}

/** A page in a browser says where it is from. None may ask: its key would be everybody's, and its host name may be rebound to ours. */
async function refusePages({ headers }: FastifyRequest): Promise<void> {
  if (headers.origin !== undefined) throw new Problem(403, 'Pages in a browser are not answered here.');
}

function webRequest({ headers }: FastifyRequest): Request {
  const own = HEADERS.flatMap((name): [string, string][] => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  return new Request('http://localhost/mcp', { method: 'POST', headers: own });
}
