import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiQuery,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Project } from '../api-keys/principal.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { LargeBody } from '../http/large-body.js';
import { listReply, parsePaging } from '../http/paging.js';
import { onlyWaits } from '../http/request-place.js';
import { checked } from '../http/validation.js';
import { preferredWaitSeconds, queriedWaitSeconds } from '../http/wait.js';
import { toPublicId } from '../storage/ids.js';
import { SubmitJobDto } from './job.dto.js';
import { JOB_STATUSES, parseJobFilters } from './job-filters.js';
import { AttemptListDto, DeletedJobDto, JobDto, JobListDto } from './job-reply.dto.js';
import { toAcceptedJob, toAttempt, toJob, toListedJob } from './job-reply.js';
import { JobsService, jobUuid } from './jobs.service.js';

@ApiTags('jobs')
@Controller('v1/jobs')
export class JobsController {
  constructor(private readonly jobs: JobsService) {}

  @Post()
  @HttpCode(202)
  @LargeBody({ request: ['model', 'models', 'stream'] })
  @ApiOperation({ summary: 'Submit a job; the reply comes when it is durable' })
  @ApiBody({ type: SubmitJobDto })
  @ApiAcceptedResponse({ type: JobDto, description: 'Accepted: it is durable, and will run' })
  @ApiOkResponse({ type: JobDto, description: 'It has ended within the time of `Prefer: wait`' })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'The same key and body give the first reply again',
  })
  @ApiHeader({
    name: 'Prefer',
    required: false,
    description: '`wait=30`: 200 with the finished job if it ends in time',
  })
  async submit(
    @Project() projectId: string,
    @Body() body: unknown,
    @Headers('idempotency-key') keyHeader: string | undefined,
    @Headers('prefer') prefer: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const waitSeconds = preferredWaitSeconds(prefer);
    const { row, isReplay } = await this.jobs.submit(
      projectId,
      checked(SubmitJobDto, body),
      parseIdempotencyKey(keyHeader),
    );
    const id = toPublicId('job', row.id);
    reply.header('location', `/v1/jobs/${id}`);
    if (isReplay) reply.header('idempotent-replayed', 'true');
    if (waitSeconds === null) return toAcceptedJob(row);
    reply.header('preference-applied', `wait=${waitSeconds}`);
    onlyWaits(reply);
    const job = await this.jobs.waitOn(projectId, row, waitSeconds, goneSignal(reply));
    if (job.row.finished_at !== null) reply.status(200);
    return toJob(job.row, job.attempts);
  }

  @Get()
  @ApiOperation({ summary: 'List jobs, without their bodies and attempts' })
  @ApiOkResponse({ type: JobListDto })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  @ApiQuery({ name: 'status', required: false, enum: JOB_STATUSES })
  @ApiQuery({ name: 'model', required: false, type: 'string' })
  @ApiQuery({ name: 'served_by', required: false, type: 'string' })
  @ApiQuery({ name: 'policy', required: false, type: 'string' })
  @ApiQuery({ name: 'batch_id', required: false, type: 'string' })
  @ApiQuery({ name: 'custom_id', required: false, type: 'string' })
  @ApiQuery({ name: 'error_code', required: false, type: 'string' })
  @ApiQuery({ name: 'fell_back', required: false, type: 'boolean' })
  @ApiQuery({ name: 'attempts_min', required: false, type: 'integer' })
  @ApiQuery({ name: 'created_after', required: false, type: 'integer' })
  @ApiQuery({ name: 'created_before', required: false, type: 'integer' })
  async list(@Project() projectId: string, @Query() query: Record<string, unknown>) {
    const { rows, hasMore } = await this.jobs.list(projectId, parseJobFilters(query), parsePaging(query));
    return listReply(rows.map(toListedJob), hasMore);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read a job with its attempts' })
  @ApiOkResponse({ type: JobDto })
  @ApiQuery({
    name: 'wait',
    required: false,
    type: 'integer',
    description: 'Seconds to hold the reply until the job has ended',
  })
  async get(
    @Project() projectId: string,
    @Param('id') id: string,
    @Query('wait') wait: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const waitSeconds = queriedWaitSeconds(wait) ?? 0;
    if (waitSeconds > 0) onlyWaits(reply);
    const { row, attempts } = await this.jobs.wait(projectId, jobUuid(id), waitSeconds, goneSignal(reply));
    return toJob(row, attempts);
  }

  @Get(':id/attempts')
  @ApiOperation({ summary: 'Read the attempts of a job' })
  @ApiOkResponse({ type: AttemptListDto })
  async attempts(@Project() projectId: string, @Param('id') id: string) {
    const { attempts } = await this.jobs.get(projectId, jobUuid(id));
    return listReply(attempts.map(toAttempt), false);
  }

  @Delete(':id')
  @ApiOperation({ summary: 'Delete a job that has ended, with its attempts and deliveries' })
  @ApiOkResponse({ type: DeletedJobDto })
  async delete(@Project() projectId: string, @Param('id') id: string): Promise<DeletedJobDto> {
    const uuid = jobUuid(id);
    await this.jobs.delete(projectId, uuid);
    return { id: toPublicId('job', uuid), object: 'job', deleted: true };
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel a job; a running call is stopped' })
  @ApiOkResponse({ type: JobDto })
  async cancel(@Project() projectId: string, @Param('id') id: string) {
    const { row, attempts } = await this.jobs.cancel(projectId, jobUuid(id));
    return toJob(row, attempts);
  }
}

/** Aborts when the client has gone away: nobody waits for a reply that nobody reads. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
