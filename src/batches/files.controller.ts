import { Readable } from 'node:stream';
import { Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiProduces,
  ApiQuery,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Project } from '../api-keys/principal.js';
import { parseIdempotencyKey } from '../http/idempotency-key.js';
import { listReply } from '../http/paging.js';
import { TransfersService } from '../http/transfers.service.js';
import { UploadRoute } from '../http/upload-route.js';
import { toPublicId } from '../storage/ids.js';
import { answerContent } from './file-content.js';
import { toFile } from './file-reply.js';
import { FILE_LIFE, FILE_PURPOSES, UPLOAD_PURPOSES } from './file-terms.js';
import { FileTransfers } from './file-transfers.js';
import { parseFileQuery } from './file-query.js';
import { DeletedFileDto, FileDto, FileListDto } from './files.dto.js';
import { FilesService, fileUuid } from './files.service.js';

const UPLOAD_SCHEMA = {
  type: 'object',
  required: ['file', 'purpose'],
  properties: {
    file: { type: 'string', format: 'binary', description: 'The bytes, with a filename' },
    purpose: { type: 'string', enum: [...UPLOAD_PURPOSES], description: '`batch` for the input of a batch' },
    'expires_after[anchor]': { type: 'string', enum: ['created_at'] },
    'expires_after[seconds]': {
      type: 'integer',
      minimum: FILE_LIFE.shortest,
      maximum: FILE_LIFE.longest,
      default: FILE_LIFE.normal,
      description: 'How long the file is kept',
    },
  },
};

@ApiTags('files')
@Controller('v1/files')
export class FilesController {
  constructor(
    private readonly files: FilesService,
    private readonly fileTransfers: FileTransfers,
    private readonly transfers: TransfersService,
  ) {}

  @Post()
  @HttpCode(200)
  @UploadRoute()
  @ApiOperation({ summary: 'Upload a file; the reply comes when every byte is durable' })
  @ApiConsumes('multipart/form-data')
  @ApiBody({ schema: UPLOAD_SCHEMA })
  @ApiOkResponse({ type: FileDto })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'The same key and file give the first reply again',
  })
  async upload(
    @Project() projectId: string,
    @Req() request: FastifyRequest,
    @Headers('idempotency-key') keyHeader: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const key = parseIdempotencyKey(keyHeader);
    const { received, description } = await this.fileTransfers.take(projectId, request.raw);
    if (key === null) return toFile(await this.files.publish(received, description));
    const { row, isReplay } = await this.files.publishOnce(projectId, received, description, key);
    if (isReplay) void reply.header('idempotent-replayed', 'true');
    return toFile(row);
  }

  @Get()
  @ApiOperation({ summary: 'List the files' })
  @ApiOkResponse({ type: FileListDto })
  @ApiQuery({ name: 'purpose', required: false, enum: FILE_PURPOSES })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  async list(@Project() projectId: string, @Query() query: Record<string, unknown>) {
    const { purpose, paging } = parseFileQuery(query);
    const { rows, hasMore } = await this.files.list(projectId, purpose, paging);
    return listReply(rows.map(toFile), hasMore);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read what is known of a file' })
  @ApiOkResponse({ type: FileDto })
  async get(@Project() projectId: string, @Param('id') id: string) {
    return toFile(await this.files.get(projectId, fileUuid(id)));
  }

  @Delete(':id')
  @ApiOperation({ summary: 'Delete a file' })
  @ApiOkResponse({ type: DeletedFileDto })
  async delete(@Project() projectId: string, @Param('id') id: string): Promise<DeletedFileDto> {
    const uuid = fileUuid(id);
    await this.files.delete(projectId, uuid);
    return { id: toPublicId('file', uuid), object: 'file', deleted: true };
  }

  @Get(':id/content')
  @ApiOperation({ summary: "Read a file's bytes, or a range of them" })
  @ApiProduces('application/octet-stream')
  @ApiOkResponse({ schema: { type: 'string', format: 'binary' } })
  @ApiHeader({ name: 'Range', required: false, description: '`bytes=0-99`: 206 with these bytes alone' })
  async content(
    @Project() projectId: string,
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const row = await this.files.get(projectId, fileUuid(id));
    const { status, headers, bytes } = answerContent(row, request.headers);
    const isBodyless = request.method === 'HEAD' || status === 304;
    // An empty stream, because without any body the framework would write a length of its own. And no header is set before the
    // store has given something: what is wrong until then is told in the envelope.
    const body = isBodyless ? Readable.from([]) : await this.fileTransfers.give(row, bytes);
    this.transfers.bound(reply);
    await reply.code(status).headers(headers).send(body);
  }
}
