import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { APP_CONFIG, type AppConfig, type ProviderConfig } from '../config/config.js';
import { nearestName } from '../config/nearest-name.js';
import { ApiError } from '../http/api-error.js';
import { listReply, parsePaging } from '../http/paging.js';
import { checked } from '../http/validation.js';
import { splitModel } from '../providers/adapter.js';
import { isProtected, keysOf } from './call-target.js';
import { CircuitControl } from './circuit-control.js';
import { ProviderListDto, ProviderReplyDto } from './provider-reply.dto.js';
import { CircuitSettingDto } from './providers.dto.js';

@ApiTags('providers')
@Controller('v1/providers')
export class ProvidersController {
  constructor(
    @Inject(APP_CONFIG) private readonly config: AppConfig,
    private readonly circuits: CircuitControl,
  ) {}

  @Get()
  @ApiOperation({ summary: 'List the providers, with the state of their keys and circuits' })
  @ApiQuery({ name: 'limit', required: false, type: 'integer' })
  @ApiQuery({ name: 'after', required: false, type: 'string' })
  @ApiQuery({ name: 'order', required: false, enum: ['asc', 'desc'] })
  @ApiOkResponse({ type: ProviderListDto })
  list(@Query() query: Record<string, unknown>) {
    const { limit, after, order } = parsePaging(query, { defaultOrder: 'asc' });
    const sign = order === 'asc' ? 1 : -1;
    const compare = (a: string, b: string) => sign * (a < b ? -1 : Number(a > b));
    const rest = [...this.config.providers.values()]
      .filter(({ name }) => after === null || compare(name, after) > 0)
      .sort((a, b) => compare(a.name, b.name));
    const data = rest.slice(0, limit).map((provider) => this.circuits.show(provider));
    return listReply(data, rest.length > limit, (provider) => provider.name);
  }

  @Get(':name')
  @ApiOperation({ summary: 'Read one provider, with the state of its keys and circuits' })
  @ApiOkResponse({ type: ProviderReplyDto })
  get(@Param('name') name: string) {
    return this.circuits.show(this.provider(name));
  }

  @Post(':name/circuits')
  @HttpCode(200)
  @ApiOperation({ summary: 'Open, close or reset circuits by hand' })
  @ApiBody({ type: CircuitSettingDto })
  @ApiOkResponse({ type: ProviderReplyDto })
  async set(@Param('name') name: string, @Body() body: unknown) {
    const setting = checked(CircuitSettingDto, body);
    const provider = this.provider(name);
    if (!isProtected(provider)) {
      throw new ApiError('provider_not_protected', `${name} has no circuits: ${whyNot(provider)}.`, {
        param: 'name',
      });
    }
    const model = setting.model ?? null;
    if (model !== null && splitModel(model)?.provider !== name) {
      throw new ApiError(
        'invalid_value',
        `model must be one of ${name}'s: write it as ${name}/model, or leave it out for all of them.`,
        { param: 'model' },
      );
    }
    const keyIds = keysOf(provider).filter((id) => (setting.key_id ?? id) === id);
    if (keyIds.length === 0) {
      const known = provider.apiKeys.map(({ id }) => id).join(', ');
      throw new ApiError('not_found', `${name} has no such key. Its keys: ${known || 'none'}.`, {
        param: 'key_id',
      });
    }
    await this.circuits.set(provider, keyIds, setting);
    return this.circuits.show(provider);
  }

  private provider(name: string): ProviderConfig {
    const provider = this.config.providers.get(name);
    if (provider) return provider;
    const names = [...this.config.providers.keys()];
    const meant = nearestName(name, names);
    const hint = meant === null ? `There are: ${names.join(', ')}` : `Did you mean '${meant}'?`;
    const message = `No provider of this name is switched on. ${hint}`;
    throw new ApiError('unknown_provider', message, { param: 'name' });
  }
}

function whyNot({ kind }: ProviderConfig): string {
  return kind === 'sim' ? 'it only simulates' : '`protect: false` stands in the config';
}
