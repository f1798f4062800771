import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { Project } from '../api-keys/principal.js';
import { NamedModelsService } from '../policies/named-models.service.js';
import { ModelDto, ModelListDto } from './models.dto.js';
import { toModel } from './to-model.js';

@ApiTags('models')
@Controller('v1/models')
export class ModelsController {
  constructor(private readonly models: NamedModelsService) {}

  @Get()
  @ApiOperation({ summary: 'List the models and policies that a request may name' })
  @ApiOkResponse({ type: ModelListDto })
  async list(@Project() projectId: string): Promise<ModelListDto> {
    return { object: 'list', data: (await this.models.list(projectId)).map(toModel) };
  }

  @Get(':model')
  @ApiOperation({ summary: 'Read what is known of a model or a policy' })
  @ApiParam({ name: 'model', type: 'string', description: '`provider/model`, or `policy/name`' })
  @ApiOkResponse({ type: ModelDto })
  async get(@Project() projectId: string, @Param('model') model: string): Promise<ModelDto> {
    return toModel(await this.models.get(projectId, model));
  }
}
