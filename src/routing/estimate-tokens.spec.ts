import { leastCpuMs } from '../../test/support/wall.js';
import { estimateTokens } from './estimate-tokens.js';

const CHAT = '/v1/chat/completions';
const EMBEDDINGS = '/v1/embeddings';
const MIB = 2 ** 20;

function ofText(text: string) {
  return estimateTokens({ prompt: text }, '/v1/completions');
}

const RECORD = {
  id: 'usr_29f84h',
  name: 'Ada Lovelace',
  email: 'ada@example.com',
  roles: ['admin', 'editor'],
  settings: { theme: 'dark', notifications: true, pageSize: 25 },
  lastLogin: '2026-07-01T09:30:00Z',
};

/**
 * Texts and their counts in `o200k_base`: the languages as OpenAI printed them (https://openai.com/index/hello-gpt-4o/), short
 * ones from its cookbook (How to count tokens with tiktoken), the JSON and the emoji from the published benchmark of tokenx.
 */
const COUNTED: readonly (readonly [string, string, number])[] = [
  ['English', "Hello, my name is GPT-4o. I'm a new type of language model, it's nice to meet you!", 24],
  [
    'French',
    "Bonjour, je m'appelle GPT-4o. Je suis un nouveau type de modèle de langage, c'est un plaisir de vous rencontrer!",
    28,
  ],
  [
    'Portuguese',
    'Olá, meu nome é GPT-4o. Sou um novo tipo de modelo de linguagem, é um prazer conhecê-lo!',
    27,
  ],
  ['Spanish', 'Hola, me llamo GPT-4o. Soy un nuevo tipo de modelo de lenguaje, ¡es un placer conocerte!', 26],
  [
    'German',
    'Hallo, mein Name is GPT-4o. Ich bin ein neues KI-Sprachmodell. Es ist schön, dich kennenzulernen.',
    29,
  ],
  [
    'Italian',
    'Ciao, mi chiamo GPT-4o. Sono un nuovo tipo di modello linguistico, piacere di conoscerti!',
    28,
  ],
  ['Turkish', 'Merhaba, benim adım GPT-4o. Ben yeni bir dil modeli türüyüm, tanıştığımıza memnun oldum!', 30],
  [
    'Vietnamese',
    'Xin chào, tên tôi là GPT-4o. Tôi là một loại mô hình ngôn ngữ mới, rất vui được gặp bạn!',
    30,
  ],
  ['Russian', 'Привет, меня зовут GPT-4o. Я — новая языковая модель, приятно познакомиться!', 23],
  [
    'Korean',
    '안녕하세요, 제 이름은 GPT-4o입니다. 저는 새로운 유형의 언어 모델입니다, 만나서 반갑습니다!',
    27,
  ],
  ['Chinese', '你好，我的名字是GPT-4o。我是一种新型的语言模型，很高兴见到你!', 24],
  ['Japanese', 'こんにちは、私の名前はGPT-4oです。私は新しいタイプの言語モデルです。初めまして！', 26],
  ['Tamil', 'நீ எப்படி இருக்கிறாய்? நான் நல்லா இருக்கேன்.', 21],
  [
    'emoji',
    'Hey! 😀 Did you see the game last night?? 🏀🔥 Absolutely insane finish 😱😱 We should totally watch the next one together 🍕🎉 Let me know! 👍',
    39,
  ],
  ['a long word', 'antidisestablishmentarianism', 6],
  ['figures', '2 + 2 = 4', 7],
  ['a birthday wish', 'お誕生日おめでとう', 8],
  ['JSON on lines', JSON.stringify(RECORD, undefined, 2), 96],
  ['JSON without blanks', JSON.stringify(RECORD), 62],
];

describe('the estimate of a text', () => {
  test.each(COUNTED)(
    'of %s is between 0.65 and 1.25 times its tokens, and the least below them',
    (_, text, tokens) => {
      const { input, leastInput } = ofText(text);
      expect(input / tokens).toBeGreaterThan(0.65);
      expect(input / tokens).toBeLessThan(1.25);
      expect(leastInput).toBeLessThanOrEqual(tokens);
    },
  );

  test('is within a tenth over all of these together', () => {
    const input = ofText(COUNTED.map(([, text]) => text).join('\n')).input;
    const tokens = COUNTED.reduce((sum, [, , count]) => sum + count, 0);
    expect(Math.abs(input / tokens - 1)).toBeLessThan(0.1);
  });

  // The longest tokens of o200k_base for these are 64 to 128 characters.
  test.each([[' '], ['-'], ['='], ['_'], ['\n'], ['.'], ['\t']])(
    'a row of %j is never counted high',
    (sign) => {
      expect(ofText(sign.repeat(64_000)).leastInput).toBeLessThanOrEqual(1_300);
    },
  );

  test('is the same in one piece and in many', () => {
    const text = COUNTED.map(([, each]) => each).join(' ');
    const whole = ofText(text.repeat(500)).input;
    const many = estimateTokens({ input: Array.from({ length: 500 }, () => text) }, EMBEDDINGS).input;
    expect(many / whole).toBeGreaterThan(0.97);
    expect(many / whole).toBeLessThan(1.03);
  });

  test('of a long text is read from parts of it, and near to what it would be whole', () => {
    const [, english] = COUNTED[0] ?? ['', ''];
    const [, chinese] = COUNTED[10] ?? ['', ''];
    const each = ofText(english.repeat(700)).input + ofText(chinese.repeat(1_500)).input;
    const together = ofText(english.repeat(7_000) + chinese.repeat(15_000)).input / 10;
    expect(together / each).toBeGreaterThan(0.95);
    expect(together / each).toBeLessThan(1.05);
  });
});

describe('the estimate of a request', () => {
  const png = `data:image/png;base64,${'A'.repeat(400_000)}`;
  const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });

  test.each([
    ['an empty body', {}, CHAT, 0, 0, null],
    ['a message', { messages: [{ role: 'user', content: 'hello there' }] }, CHAT, 6, 1, null],
    [
      'ids and signatures, which no model reads',
      { messages: [{ tool_call_id: 'x'.repeat(99) }] },
      CHAT,
      0,
      0,
      null,
    ],
    ['a picture', user({ type: 'image_url', image_url: { url: png } }), CHAT, 769, 0, null],
    [
      'a small picture',
      user({ type: 'image_url', image_url: { url: png, detail: 'low' } }),
      CHAT,
      89,
      0,
      null,
    ],
    [
      'a picture to responses',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: png, detail: 'low' }] }] },
      '/v1/responses',
      89,
      0,
      null,
    ],
    [
      'ten seconds of sound, by its bytes and not its characters',
      user({ type: 'input_audio', input_audio: { data: 'A'.repeat(426_668), format: 'wav' } }),
      CHAT,
      205,
      0,
      null,
    ],
    [
      'a file of 75 kB, by its bytes and not its characters',
      user({ type: 'file', file: { file_data: `data:application/pdf;base64,${'A'.repeat(100_000)}` } }),
      CHAT,
      1_504,
      0,
      null,
    ],
    [
      'a film, which is no text',
      user({ type: 'video_url', video_url: { url: `data:video/mp4;base64,${'A'.repeat(100_000)}` } }),
      CHAT,
      1_504,
      0,
      null,
    ],
    [
      'a picture that a tool gave back',
      {
        input: [
          {
            type: 'computer_call_output',
            output: {
              type: 'computer_screenshot',
              image_url: `data:image/png;base64,${'A'.repeat(100_000)}`,
            },
          },
        ],
      },
      '/v1/responses',
      1_500,
      0,
      null,
    ],
    [
      'a picture that the model made before',
      { input: [{ type: 'image_generation_call', id: 'ig_1', result: 'A'.repeat(100_000) }] },
      '/v1/responses',
      765,
      0,
      null,
    ],
    [
      'what a model thought before, which may not be given to this one',
      { messages: [{ role: 'assistant', content: '', reasoning_content: 'x'.repeat(4_000) }] },
      CHAT,
      1_005,
      1,
      null,
    ],
    ['a file that is only named', user({ type: 'file', file: { file_id: 'file-1' } }), CHAT, 2_004, 0, null],
    ['tokens instead of text, exactly', { prompt: Array(500).fill(7) }, '/v1/completions', 500, 500, null],
    [
      'several prompts, the least for one',
      { prompt: [[1, 2, 3], [4, 5], [6]] },
      '/v1/completions',
      6,
      3,
      null,
    ],
    ['no answer to embeddings', { input: [Array(9).fill(7)] }, EMBEDDINGS, 9, 9, 0],
    ['the limit of the answer', { max_tokens: 50 }, CHAT, 0, 0, 50],
    ['the newer name before the older', { max_tokens: 50, max_completion_tokens: 60 }, CHAT, 0, 0, 60],
    ['every choice', { max_tokens: 50, n: 3 }, CHAT, 0, 0, 150],
    [
      'every prompt and choice',
      { prompt: [[1], [2]], max_tokens: 50, n: 3, best_of: 5 },
      '/v1/completions',
      2,
      1,
      500,
    ],
    ['a limit of responses', { max_output_tokens: 70 }, '/v1/responses', 0, 0, 70],
    ['no limit that makes no sense', { max_tokens: -1, n: 'many' }, CHAT, 0, 0, null],
    ['nothing of another endpoint', { input: 'hello' }, CHAT, 0, 0, null],
  ] satisfies [string, object, string, number, number, number | null][])(
    'has %s',
    (_, body, endpoint, input, leastInput, output) => {
      expect(estimateTokens(body, endpoint)).toEqual({ input, leastInput, output });
    },
  );

  test('counts tools and schemas, with the names of their fields', () => {
    const schema = { type: 'object', properties: { city: { type: 'string', description: 'Where to look' } } };
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: schema } }];
    const response_format = { type: 'json_schema', json_schema: { name: 'weather', schema } };
    const text = ofText(JSON.stringify(tools)).input;
    expect(estimateTokens({ tools }, CHAT).input / text).toBeGreaterThan(0.5);
    expect(estimateTokens({ tools }, CHAT).input / text).toBeLessThan(1.1);
    expect(estimateTokens({ response_format }, CHAT).input).toBeGreaterThan(10);
  });
});

describe('the estimate of 4 MiB', () => {
  const half = { role: 'user', content: 'a b' };
  /** Both are measured side by side, three times: on a machine with other work one of two may fall into a slow moment. */
  const expectFraction = (
    body: Readonly<Record<string, unknown>>,
    endpoint: Parameters<typeof estimateTokens>[1],
  ): void => {
    const json = JSON.stringify(body);
    const overs = [1, 2, 3].map(() => {
      const parsingMs = leastCpuMs(() => JSON.parse(json) as unknown);
      return leastCpuMs(() => estimateTokens(body, endpoint)) - parsingMs / 2;
    });
    expect(Math.min(...overs)).toBeLessThan(25);
  };
  const nest = (depth: number): unknown =>
    depth === 0 ? '' : Array.from({ length: 16 }, () => nest(depth - 1));
  test.each([
    ['one text', { messages: [{ role: 'user', content: 'Lorem ipsum dolor '.repeat((4 * MIB) / 18) }] }],
    ['very many messages', { messages: Array.from({ length: 100_000 }, () => half) }],
    [
      'very many parts',
      { messages: [{ content: Array.from({ length: 150_000 }, () => ({ type: 'text', text: '' })) }] },
    ],
    ['very many empty lists', { messages: Array.from({ length: 1_400_000 }, () => []) }],
    ['lists within lists', { messages: nest(5) }],
    [
      'a tool of very many fields',
      { tools: [Object.fromEntries(Array.from({ length: 250_000 }, (_, i) => [`field${i}`, 1]))] },
    ],
    [
      'a picture',
      { messages: [{ content: [{ type: 'image_url', image_url: { url: 'x'.repeat(4 * MIB) } }] }] },
    ],
  ])('as %s takes a fraction of the time of parsing it', (_, body) => {
    expectFraction(body, CHAT);
  });

  test('as very many prompts takes a fraction of the time of parsing it', () => {
    expectFraction({ input: Array.from({ length: 1_000_000 }, () => 'a') }, EMBEDDINGS);
  });
});
