import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { assertKnownParams } from '../http/known-params.js';
import { listReply, parsePaging } from '../http/paging.js';
import { checked } from '../http/validation.js';
import { toPublicId } from '../storage/ids.js';
import {
  CreateWebhookEndpointDto,
  RecoverWebhookEndpointDto,
  RotateSecretDto,
  TestWebhookEndpointDto,
  UpdateWebhookEndpointDto,
  WebhookEndpointDeletedDto,
  WebhookEndpointDto,
  WebhookEndpointListDto,
  WebhookEndpointRecoveryDto,
  WebhookEndpointTestDto,
  WebhookEndpointWithSecretDto,
} from './endpoint.dto.js';
import { toEndpoint, toEndpointWithSecret } from './endpoint-reply.js';
import { EndpointsService, endpointUuid } from './endpoints.service.js';
import { graceOf } from './secrets.service.js';

/** Receivers that a project registers, as OpenAI's client asks for them, and what Baton adds. */
@ApiTags('webhooks')
@Controller('v1/webhook_endpoints')
export class EndpointsController {
  constructor(private readonly endpoints: EndpointsService) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({ summary: 'Register a receiver; its secret is shown this once' })
  @ApiBody({ type: CreateWebhookEndpointDto })
  @ApiOkResponse({ type: WebhookEndpointWithSecretDto })
  async create(@Project() projectId: string, @Body() body: unknown) {
    return toEndpointWithSecret(
      await this.endpoints.create(projectId, checked(CreateWebhookEndpointDto, body)),
    );
  }

  @Get()
  @ApiOperation({ summary: 'List receivers' })
  @ApiOkResponse({ type: WebhookEndpointListDto })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  async list(@Project() projectId: string, @Query() query: Record<string, unknown>) {
    assertKnownParams(query, ['limit', 'after', 'order']);
    const { endpoints, hasMore } = await this.endpoints.list(projectId, parsePaging(query));
    return listReply(endpoints.map(toEndpoint), hasMore);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read a receiver, and how it fares' })
  @ApiOkResponse({ type: WebhookEndpointDto })
  async get(@Project() projectId: string, @Param('id') id: string) {
    return toEndpoint(await this.endpoints.get(projectId, endpointUuid(id)));
  }

  @Post(':id')
  @HttpCode(200)
  @ApiOperation({ summary: 'Change a receiver' })
  @ApiBody({ type: UpdateWebhookEndpointDto, required: false })
  @ApiOkResponse({ type: WebhookEndpointDto })
  async update(@Project() projectId: string, @Param('id') id: string, @Body() body: unknown) {
    const dto = checked(UpdateWebhookEndpointDto, body ?? {});
    return toEndpoint(await this.endpoints.update(projectId, endpointUuid(id), dto));
  }

  @Delete(':id')
  @ApiOperation({ summary: 'Delete a receiver; what waits for it is given up' })
  @ApiOkResponse({ type: WebhookEndpointDeletedDto })
  async delete(@Project() projectId: string, @Param('id') id: string): Promise<WebhookEndpointDeletedDto> {
    const uuid = endpointUuid(id);
    await this.endpoints.delete(projectId, uuid);
    return { id: toPublicId('whe', uuid), object: 'webhook_endpoint.deleted', deleted: true };
  }

  @Post(':id/rotate_secret')
  @HttpCode(200)
  @ApiOperation({ summary: 'Replace the secret; the one before signs beside it for a while' })
  @ApiBody({ type: RotateSecretDto, required: false })
  @ApiOkResponse({ type: WebhookEndpointWithSecretDto })
  async rotateSecret(@Project() projectId: string, @Param('id') id: string, @Body() body: unknown) {
    const grace = graceOf(checked(RotateSecretDto, body ?? {}));
    return toEndpointWithSecret(await this.endpoints.rotateSecret(projectId, endpointUuid(id), grace));
  }

  @Post(':id/test')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send a sample event now, once, and tell what was answered' })
  @ApiBody({ type: TestWebhookEndpointDto })
  @ApiOkResponse({ type: WebhookEndpointTestDto })
  async test(
    @Project() projectId: string,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<WebhookEndpointTestDto> {
    const { event_type: type } = checked(TestWebhookEndpointDto, body);
    const uuid = endpointUuid(id);
    const status = await this.endpoints.test(projectId, uuid, type);
    return {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: toPublicId('whe', uuid),
      event_type: type,
      success: true,
      status_code: status,
    };
  }

  @Post(':id/enable')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send to a receiver again that is disabled' })
  @ApiOkResponse({ type: WebhookEndpointDto })
  async enable(@Project() projectId: string, @Param('id') id: string) {
    return toEndpoint(await this.endpoints.enable(projectId, endpointUuid(id)));
  }

  @Post(':id/disable')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send nothing more to a receiver; what waits for it is given up' })
  @ApiOkResponse({ type: WebhookEndpointDto })
  async disable(@Project() projectId: string, @Param('id') id: string) {
    return toEndpoint(await this.endpoints.disable(projectId, endpointUuid(id)));
  }

  @Post(':id/recover')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send anew what a receiver did not get of what happened in a span of time' })
  @ApiBody({ type: RecoverWebhookEndpointDto })
  @ApiOkResponse({ type: WebhookEndpointRecoveryDto })
  async recover(
    @Project() projectId: string,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<WebhookEndpointRecoveryDto> {
    const { since, until } = checked(RecoverWebhookEndpointDto, body);
    const uuid = endpointUuid(id);
    const recovered = await this.endpoints.recover(projectId, uuid, since, until ?? null);
    return { object: 'webhook_endpoint.recovery', webhook_endpoint_id: toPublicId('whe', uuid), recovered };
  }
}
