import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { assertKnownParams } from '../http/known-params.js';
import { checked } from '../http/validation.js';
import { parseVersion } from './parse-version.js';
import { DryRunDto, DryRunReplyDto, PolicyDiffDto } from './policy-lab.dto.js';
import { PolicyLabService } from './policy-lab.service.js';

@ApiTags('policies')
@Controller('v1/policies')
export class PolicyLabController {
  constructor(private readonly lab: PolicyLabService) {}

  @Get(':name/diff')
  @ApiOperation({ summary: 'Tell what became different between two versions of a policy' })
  @ApiQuery({ name: 'from', required: true, type: 'integer' })
  @ApiQuery({
    name: 'to',
    required: false,
    type: 'integer',
    description: 'Without it, the current version',
  })
  @ApiOkResponse({ type: PolicyDiffDto })
  async diff(
    @Project() projectId: string,
    @Param('name') name: string,
    @Query() query: Record<string, unknown>,
  ): Promise<PolicyDiffDto> {
    assertKnownParams(query, ['from', 'to']);
    const { from, to } = query;
    const older = parseVersion(from, 'from');
    return this.lab.diff(projectId, name, older, to === undefined ? null : parseVersion(to, 'to'));
  }

  @Post(':name/dry_run')
  @HttpCode(200)
  @ApiOperation({ summary: 'Play a job by a script of outcomes: no call is made' })
  @ApiBody({ type: DryRunDto })
  @ApiOkResponse({ type: DryRunReplyDto })
  async dryRun(
    @Project() projectId: string,
    @Param('name') name: string,
    @Body() body: unknown,
  ): Promise<DryRunReplyDto> {
    return this.lab.dryRun(projectId, name, checked(DryRunDto, body));
  }
}
