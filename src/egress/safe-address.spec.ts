import { isInRanges, isPublicAddress, parseRange } from './safe-address.js';

describe('isPublicAddress', () => {
  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.1',
    '93.184.216.34',
    '100.63.255.255',
    '100.128.0.1',
    '169.253.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '192.167.1.1',
    '198.17.255.255',
    '198.20.0.1',
    '223.255.255.255',
    '2001:4860:4860::8888',
    '2606:4700:4700::1111',
    '2a00:1450:4001:82a::200e',
    '::ffff:8.8.8.8',
    '::ffff:808:808',
  ])('lets %s through', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  test.each([
    // This host and loopback.
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '127.255.255.254',
    '::',
    '::1',
    // Private, link-local, carrier-grade NAT.
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '192.168.255.255',
    '169.254.0.1',
    '100.64.0.1',
    '100.127.255.255',
    'fc00::1',
    'fd00::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    // Metadata services of clouds.
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    // Set aside: documentation, benchmarks, protocol assignments, future use, broadcast, multicast.
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    'ff02::1',
    '100::1',
    '100:0:0:1::1',
    '2001:db8::1',
    '2001:2::1',
    '2001:10::1',
    '3fff::1',
    '5f00::1',
    '4000::1',
    // An IPv4 address inside an IPv6 one.
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '0:0:0:0:0:ffff:7f00:1',
    '::127.0.0.1',
    '::7f00:1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
    '2001:0:7f00:1::1',
    // No address, or one in a form that readers disagree about.
    '',
    'localhost',
    '127.1',
    '0177.0.0.1',
    '0x7f.0.0.1',
    '2130706433',
    '1.1.1.1.',
    '[::1]',
    '8.8.8.8/32',
    ' 8.8.8.8',
  ])('keeps %s out', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe('isInRanges', () => {
  test.each([
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.2', '127.0.0.1', false],
    ['fd12::1', 'fd00::/8', true],
    ['fe80::1', 'fd00::/8', false],
    ['10.1.2.3', 'fd00::/8', false],
    ['::1', '0.0.0.0/0', false],
    ['localhost', '0.0.0.0/0', false],
  ])('of %s in %s is %s', (address, range, expected) => {
    expect(isInRanges(address, [parseRange(range)])).toBe(expected);
  });

  test.each(['', '10.0.0.0/33', 'ten', '10.0.0.0/'])('a range written %p is refused', (text) => {
    expect(() => parseRange(text)).toThrow(/ipaddr/);
  });
});
