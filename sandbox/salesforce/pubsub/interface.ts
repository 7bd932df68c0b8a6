/** `eventbus.v1.PubSub` as it is on the wire; names and numbers are those of the published interface. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

const text = (id: number) => ({ type: 'string', id });
const bytes = (id: number) => ({ type: 'bytes', id });
const int = (id: number) => ({ type: 'int32', id });
const flag = (id: number) => ({ type: 'bool', id });
const call = (requestType: string, responseType: string, isStream = false) => ({
  ...{ requestType, responseType, comment: '' },
  ...(isStream && { requestStream: true, responseStream: true }),
});

const MESSAGES: Parameters<typeof fromJSON>[0] = {
  nested: {
    TopicRequest: { fields: { topicName: text(1) } },
    TopicInfo: {
      fields: {
        ...{ topicName: text(1), tenantGuid: text(2), canPublish: flag(3), canSubscribe: flag(4) },
        ...{ schemaId: text(5), rpcId: text(6) },
      },
    },
    SchemaRequest: { fields: { schemaId: text(1) } },
    SchemaInfo: { fields: { schemaJson: text(1), schemaId: text(2), rpcId: text(3) } },
    ReplayPreset: { values: { LATEST: 0, EARLIEST: 1, CUSTOM: 2 } },
    FetchRequest: {
      fields: {
        topicName: text(1),
        replayPreset: { type: 'ReplayPreset', id: 2 },
        replayId: bytes(3),
        numRequested: int(4),
        authRefresh: text(5),
      },
    },
    ProducerEvent: { fields: { id: text(1), schemaId: text(2), payload: bytes(3) } },
    ConsumerEvent: { fields: { event: { type: 'ProducerEvent', id: 1 }, replayId: bytes(2) } },
    FetchResponse: {
      fields: {
        events: { rule: 'repeated', type: 'ConsumerEvent', id: 1 },
        ...{ latestReplayId: bytes(2), rpcId: text(3), pendingNumRequested: int(4) },
      },
    },
    PubSub: {
      methods: {
        Subscribe: call('FetchRequest', 'FetchResponse', true),
        GetSchema: call('SchemaRequest', 'SchemaInfo'),
        GetTopic: call('TopicRequest', 'TopicInfo'),
      },
    },
  },
};

export interface FetchRequest {
  readonly topicName: string;
  readonly replayPreset: number;
  readonly replayId: Buffer;
  readonly numRequested: number;
}

export const REPLAY = { latest: 0, earliest: 1, custom: 2 } as const;

export function pubSubDefinition(): ServiceDefinition {
  const definition = fromJSON(
    { nested: { eventbus: { nested: { v1: MESSAGES } } } },
    { defaults: true, arrays: true },
  )['eventbus.v1.PubSub'];
  if (definition === undefined || 'format' in definition) throw new Error('the interface has no PubSub');
  return definition;
}
