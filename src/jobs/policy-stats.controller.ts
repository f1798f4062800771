import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { assertKnownParams } from '../http/known-params.js';
import { parseVersion } from '../policies/parse-version.js';
import { parseJobFilters } from './job-filters.js';
import { PolicyStatsDto } from './policy-stats.dto.js';
import { PolicyStatsService } from './policy-stats.service.js';

const PARAMETERS = ['created_after', 'created_before', 'version'];

@ApiTags('policies')
@Controller('v1/policies')
export class PolicyStatsController {
  constructor(private readonly stats: PolicyStatsService) {}

  @Get(':name/stats')
  @ApiOperation({ summary: "Sum up what became of a policy's jobs, by default of the last 24 hours" })
  @ApiQuery({ name: 'created_after', required: false, type: 'integer' })
  @ApiQuery({ name: 'created_before', required: false, type: 'integer' })
  @ApiQuery({ name: 'version', required: false, type: 'integer' })
  @ApiOkResponse({ type: PolicyStatsDto })
  async read(
    @Project() projectId: string,
    @Param('name') name: string,
    @Query() query: Record<string, unknown>,
  ): Promise<PolicyStatsDto> {
    assertKnownParams(query, PARAMETERS);
    const { version, ...times } = query;
    const { createdAfter = null, createdBefore = null } = parseJobFilters(times);
    return this.stats.read(projectId, name, {
      version: version === undefined ? null : parseVersion(version, 'version'),
      createdAfter,
      createdBefore,
    });
  }
}
