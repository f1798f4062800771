import type { BatonClient } from './baton-client.js';

/** One server-sent event. */
export interface ServerEvent {
  readonly id: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
}

/** A stream of server-sent events, read one by one. */
export class EventStream {
  private text = '';
  private readonly decoder = new TextDecoder();
  private isOver = false;

  private constructor(
    readonly contentType: string,
    private readonly reader: ReadableStreamDefaultReader<Uint8Array>,
  ) {}

  /** Opens it, behind the last event that was seen if one is given. Throws unless it is there. */
  static async open(baton: BatonClient, path: string, lastEventId?: string): Promise<EventStream> {
    const reply = await fetch(baton.url + path, {
      headers: {
        authorization: `Bearer ${baton.key}`,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    });
    if (reply.status !== 200 || reply.body === null)
      throw new Error(`${reply.status}: ${await reply.text()}`);
    return new EventStream(reply.headers.get('content-type') ?? '', reply.body.getReader());
  }

  /** The next event. Throws if the stream ends before there is one. */
  async next(): Promise<ServerEvent> {
    const event = await this.read();
    if (event === null) throw new Error('The stream ended before the next event.');
    return event;
  }

  /** All events up to the end of the stream. */
  async rest(): Promise<ServerEvent[]> {
    const events: ServerEvent[] = [];
    for (let event = await this.read(); event !== null; event = await this.read()) events.push(event);
    return events;
  }

  close(): void {
    void this.reader.cancel().catch(() => undefined);
  }

  /** Comments and blocks without data are passed over. */
  private async read(): Promise<ServerEvent | null> {
    for (;;) {
      const end = this.text.indexOf('\n\n');
      if (end >= 0) {
        const event = eventOf(this.text.slice(0, end));
        this.text = this.text.slice(end + 2);
        if (event !== null) return event;
      } else if (this.isOver) {
        return null;
      } else {
        const { done, value } = await this.reader.read();
        this.isOver = done;
        this.text += this.decoder.decode(value, { stream: !done });
      }
    }
  }
}

function eventOf(block: string): ServerEvent | null {
  const fields = new Map(
    block.split('\n').map((line): [string, string] => {
      const [name = '', ...rest] = line.split(': ');
      return [name, rest.join(': ')];
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return null;
  return {
    id: fields.get('id') ?? '',
    name: fields.get('event') ?? '',
    data: JSON.parse(data) as Record<string, unknown>,
  };
}
