// SPDX-License-Identifier: MIT
// A real provider for test_oidc_provider.py: oidc-provider with one client and one way to log in. It prints its port.
//   node provider.js FOLDER-WITH-node_modules REDIRECT_URI SECRET ALG
const {createRequire} = require("module");
const {generateKeyPairSync} = require("crypto");
const http = require("http");
const [folder, redirect, secret, alg] = process.argv.slice(2);
const {Provider} = createRequire(folder + "/")("oidc-provider");

const jwk = (type, options, more) => ({...generateKeyPairSync(type, options).privateKey.export({format: "jwk"}), use: "sig", ...more});
const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{client_id: "clawrden", client_secret: secret, redirect_uris: [redirect], id_token_signed_response_alg: alg}],
    jwks: {keys: [jwk("rsa", {modulusLength: 2048}, {kid: "r", alg: "RS256"}), jwk("ec", {namedCurve: "P-256"}, {kid: "e", alg: "ES256"})]},
    claims: {openid: ["sub", "preferred_username", "groups"], email: ["email", "email_verified"], profile: ["name"]},
    conformIdTokenClaims: false,
    findAccount: (ctx, id) => ({accountId: id, claims: () => ({sub: id, preferred_username: id, groups: [id + "s"]})}),
    cookies: {keys: ["a key of a test"]},
    pkce: {required: () => true, methods: ["S256"]},
  });
  server.on("request", provider.callback());
  console.log(`port ${server.address().port}`);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
