import { randomUUID } from 'node:crypto';
import type { ChangeRequest } from '../../schemas/api/change.ts';
import type { Proposal, ProposeTool } from '../../schemas/api/tool.ts';
import { checkedProposal } from '../changes/propose.ts';
import { makeChange } from '../changes/routes.ts';
import { hasScope, type ApiKey } from '../keys.ts';
import { Problem } from '../problem.ts';
import { claimsOf } from '../services.ts';
import type { Desk } from './tool.ts';

/** By the road of PATCH where the key allows it; else checked as far as it goes, and put into words for a person. */
export async function proposeChange(
  { services, runs }: Desk,
  key: ApiKey,
  { profile_id: profile, version, idempotency_key: once, ...request }: ProposeTool,
): Promise<Proposal> {
  const asked = { profile, request, key, version, once };
  const why = lacking(key);
  if (why.length === 0) {
    return { needs_approval: false, change: await makeChange(services, runs, asked) };
  }
  // Nobody is asked to approve what would be refused anyway.
  const { golden } = await checkedProposal(services, await claimsOf(services), asked);
  if (version !== undefined && version !== golden.version) {
    throw new Problem(412, `the profile is at version ${golden.version}`);
  }
  const { host, port } = services.serve.profiles;
  const approval = approvalOf(request, {
    why,
    base: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    profile: golden.profile,
    entity: golden.entity,
    version: golden.version,
    once: once ?? `mcp-${randomUUID()}`,
  });
  return { needs_approval: true, approval };
}

function lacking(key: ApiKey): string[] {
  return [
    ...(hasScope(key, 'write') ? [] : [`the key ${key.name} lacks the scope write`]),
    ...(key.allowChanges ? [] : [`the key ${key.name} has no allowChanges`]),
  ];
}

interface About {
  why: string[];
  base: string;
  profile: string;
  entity: string;
  version: number;
  once: string;
}

function approvalOf(
  body: Omit<ChangeRequest, 'override'>,
  { why, base, profile, entity, version, once }: About,
): NonNullable<Proposal['approval']> {
  const path = `/v1/profiles/${profile}`;
  const headers = { 'if-match': `"${version}"`, 'idempotency-key': once };
  const fields = Object.keys(body.fields).join(', ');
  const all = { authorization: 'Bearer $HEADWATER_KEY', 'content-type': 'application/json', ...headers };
  const command = [
    `curl -X PATCH ${base}${path}`,
    // Only the first is for the shell to fill in.
    `-H "authorization: ${all.authorization}"`,
    ...Object.entries(all)
      .slice(1)
      .map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' ');
  return {
    why,
    what: `Setting ${fields} of the ${entity} ${profile} (version ${version}), as the request says.`,
    how: 'Show the person the fields and their new values. Whoever approves sends the request with an own API key of scope write, such as with the command; sending it twice makes one change. A profile that has changed since answers 412.',
    request: { method: 'PATCH', path, headers, body },
    command,
  };
}

/** For a POSIX shell: what a model proposed must stay one word. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
