import { Readable } from 'node:stream';
import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Project } from '../api-keys/principal.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { assertKnownParams } from '../http/known-params.js';
import { LargeBody } from '../http/large-body.js';
import { listReply, parsePaging } from '../http/paging.js';
import { TransfersService } from '../http/transfers.service.js';
import { checked } from '../http/validation.js';
import { BatchDto, BatchListDto, CreateBatchDto, RetryFailedDto } from './batch.dto.js';
import { toBatch, toNewBatch } from './batch-reply.js';
import { BatchStreams } from './batch-streams.js';
import { BatchesService, batchUuid, type MadeBatch, type WholeBatch } from './batches.service.js';
import { parseResultsQuery, RESULT_STATUSES } from './results-query.js';

const IDEMPOTENCY_HEADER = {
  name: 'Idempotency-Key',
  required: false,
  description: 'The same key and body give the first reply again',
};

@ApiTags('batches')
@Controller('v1/batches')
export class BatchesController {
  constructor(
    private readonly batches: BatchesService,
    private readonly streams: BatchStreams,
    private readonly transfers: TransfersService,
  ) {}

  @Post()
  @HttpCode(200)
  @LargeBody({ requests: 'items' })
  @ApiOperation({ summary: 'Make a batch of a file, or of requests in the body' })
  @ApiBody({ type: CreateBatchDto })
  @ApiOkResponse({ type: BatchDto })
  @ApiHeader(IDEMPOTENCY_HEADER)
  async create(
    @Project() projectId: string,
    @Body() body: unknown,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const dto = checked(CreateBatchDto, body);
    return made(await this.batches.create(projectId, dto, parseIdempotencyKey(key)), reply);
  }

  @Get()
  @ApiOperation({ summary: 'List batches' })
  @ApiOkResponse({ type: BatchListDto })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  async list(@Project() projectId: string, @Query() query: Record<string, unknown>) {
    assertKnownParams(query, ['limit', 'after', 'order']);
    const { batches, hasMore } = await this.batches.list(projectId, parsePaging(query));
    return listReply(batches.map(shown), hasMore);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read a batch' })
  @ApiOkResponse({ type: BatchDto })
  async get(@Project() projectId: string, @Param('id') id: string) {
    return shown(await this.batches.get(projectId, batchUuid(id)));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel a batch; running calls are stopped, what has ended is kept' })
  @ApiOkResponse({ type: BatchDto })
  async cancel(@Project() projectId: string, @Param('id') id: string) {
    return shown(await this.batches.cancel(projectId, batchUuid(id)));
  }

  @Post(':id/pause')
  @HttpCode(200)
  @ApiOperation({ summary: 'Let no further line of a batch begin' })
  @ApiOkResponse({ type: BatchDto })
  async pause(@Project() projectId: string, @Param('id') id: string) {
    return shown(await this.batches.pause(projectId, batchUuid(id)));
  }

  @Post(':id/resume')
  @HttpCode(200)
  @ApiOperation({ summary: 'Let a paused batch go on' })
  @ApiOkResponse({ type: BatchDto })
  async resume(@Project() projectId: string, @Param('id') id: string) {
    return shown(await this.batches.resume(projectId, batchUuid(id)));
  }

  @Post(':id/retry_failed')
  @HttpCode(200)
  @ApiOperation({ summary: 'Make a batch of the lines of an ended one that came to nothing' })
  @ApiBody({ type: RetryFailedDto, required: false })
  @ApiOkResponse({ type: BatchDto })
  @ApiHeader(IDEMPOTENCY_HEADER)
  async retryFailed(
    @Project() projectId: string,
    @Param('id') id: string,
    @Body() body: unknown,
    @Headers('idempotency-key') key: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const dto = checked(RetryFailedDto, body ?? {});
    return made(
      await this.batches.retryFailed(projectId, batchUuid(id), dto, parseIdempotencyKey(key)),
      reply,
    );
  }

  @Get(':id/results')
  @ApiOperation({ summary: 'Stream the lines of a batch that have ended so far, as JSONL' })
  @ApiOkResponse({ content: { 'application/jsonl': { schema: { type: 'string' } } } })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['ended', 'input'] })
  @ApiQuery({ name: 'status', required: false, enum: RESULT_STATUSES })
  async results(
    @Project() projectId: string,
    @Param('id') id: string,
    @Query() query: Record<string, unknown>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const lines = await this.streams.results(projectId, batchUuid(id), parseResultsQuery(query));
    void reply.header('content-type', 'application/jsonl; charset=utf-8').header('cache-control', 'no-store');
    this.transfers.bound(reply);
    await reply.send(Readable.from(lines, { objectMode: false }));
  }

  @Get(':id/events')
  @ApiOperation({ summary: 'Watch a batch: server-sent events at each change, until its end' })
  @ApiOkResponse({ content: { 'text/event-stream': { schema: { type: 'string' } } } })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'The last event that was seen' })
  async events(
    @Project() projectId: string,
    @Param('id') id: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await this.batches.get(projectId, batchUuid(id));
    void reply
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no');
    const events = this.streams.events(projectId, batchUuid(id), lastEventId ?? null);
    this.transfers.bound(reply);
    await reply.send(Readable.from(events, { objectMode: false }));
  }
}

function shown({ row, progress, rejects }: WholeBatch) {
  return toBatch(row, progress, rejects);
}

function made({ row, isReplay }: MadeBatch, reply: FastifyReply) {
  if (isReplay) void reply.header('idempotent-replayed', 'true');
  return toNewBatch(row);
}
