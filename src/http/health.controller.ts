import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { PublicRoute } from './public-route.js';
import { ReadinessService } from './readiness.service.js';
import { LivenessDto, ReadinessDto } from './replies.dto.js';

@ApiTags('operations')
@PublicRoute()
@Controller()
export class HealthController {
  constructor(private readonly readiness: ReadinessService) {}

  @Get('livez')
  @ApiOperation({ summary: 'Whether the process is alive' })
  @ApiOkResponse({ type: LivenessDto })
  livez(): LivenessDto {
    return { status: 'ok' };
  }

  @Get('readyz')
  @ApiOperation({ summary: 'Whether the process can serve; 503 if not' })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({ type: ReadinessDto })
  async readyz(@Res({ passthrough: true }) reply: FastifyReply): Promise<ReadinessDto> {
    const readiness = await this.readiness.read();
    void reply.code(readiness.status === 'ok' || readiness.status === 'degraded' ? 200 : 503);
    return readiness;
  }
}
