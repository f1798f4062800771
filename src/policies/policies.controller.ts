import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { assertKnownParams } from '../http/known-params.js';
import { listReply, parsePaging } from '../http/paging.js';
import { parseVersion } from './parse-version.js';
import { PolicyDto } from './policy.dto.js';
import { PolicyDeletedDto, PolicyListDto, PolicyReplyDto } from './policy-reply.dto.js';
import { toPolicyReply } from './policy-reply.js';
import { PoliciesService } from './policies.service.js';

const PAGING = ['limit', 'after', 'order'];

@ApiTags('policies')
@Controller('v1/policies')
export class PoliciesController {
  constructor(private readonly policies: PoliciesService) {}

  @Get()
  @ApiOperation({ summary: 'List the policies, by name' })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  @ApiOkResponse({ type: PolicyListDto })
  async list(@Project() projectId: string, @Query() query: Record<string, unknown>) {
    assertKnownParams(query, PAGING);
    const { limit, after, order } = parsePaging(query, { defaultOrder: 'asc' });
    const rows = await this.policies.list(projectId, limit + 1, after, order === 'desc');
    const data = rows.slice(0, limit).map(toPolicyReply);
    return listReply(data, rows.length > limit, (policy) => policy.name);
  }

  @Get(':name')
  @ApiOperation({ summary: 'Read the current version of a policy' })
  @ApiOkResponse({ type: PolicyReplyDto })
  async get(@Project() projectId: string, @Param('name') name: string) {
    return toPolicyReply(await this.policies.get(projectId, name));
  }

  @Put(':name')
  @ApiOperation({ summary: 'Make a policy, or a new version of it' })
  @ApiOkResponse({ type: PolicyReplyDto })
  @ApiBody({ type: PolicyDto })
  async put(@Project() projectId: string, @Param('name') name: string, @Body() body: unknown) {
    return toPolicyReply(await this.policies.put(projectId, name, body));
  }

  @Delete(':name')
  @ApiOperation({ summary: 'Delete a policy; jobs that began with it run on' })
  @ApiOkResponse({ type: PolicyDeletedDto })
  async delete(@Project() projectId: string, @Param('name') name: string): Promise<PolicyDeletedDto> {
    await this.policies.delete(projectId, name);
    return { object: 'policy.deleted', name, deleted: true };
  }

  @Get(':name/versions')
  @ApiOperation({ summary: 'List the versions of a policy, newest first' })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  @ApiOkResponse({ type: PolicyListDto })
  async versions(
    @Project() projectId: string,
    @Param('name') name: string,
    @Query() query: Record<string, unknown>,
  ) {
    assertKnownParams(query, PAGING);
    const { limit, after, order } = parsePaging(query);
    const rows = await this.policies.versions(
      projectId,
      name,
      limit + 1,
      after === null ? null : parseVersion(after, 'after'),
      order === 'desc',
    );
    return listReply(rows.slice(0, limit).map(toPolicyReply), rows.length > limit, (policy) =>
      String(policy.version),
    );
  }

  @Get(':name/versions/:version')
  @ApiOperation({ summary: 'Read one version of a policy, also of a deleted one' })
  @ApiOkResponse({ type: PolicyReplyDto })
  async version(
    @Project() projectId: string,
    @Param('name') name: string,
    @Param('version') version: string,
  ) {
    return toPolicyReply(await this.policies.version(projectId, name, parseVersion(version, 'version')));
  }

  @Post(':name/versions/:version/restore')
  @HttpCode(200)
  @ApiOperation({ summary: 'Make an old version the newest again' })
  @ApiOkResponse({ type: PolicyReplyDto })
  async restore(
    @Project() projectId: string,
    @Param('name') name: string,
    @Param('version') version: string,
  ) {
    return toPolicyReply(await this.policies.restore(projectId, name, parseVersion(version, 'version')));
  }
}
