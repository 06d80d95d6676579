/** Signs in, and lends the token to the worker that controls this frame. */
window.connect = async (url, token) => {
  const { TokenWard } = await import("/tokenward/index.js");
  const ward = await TokenWard.create({ resources: [{ url }] });
  ward.setTokens({ access_token: token, expires_in: 86_400 });
  await ward.connectServiceWorker();
};
