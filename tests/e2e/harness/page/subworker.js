// A worker of the page's: asks for what it is told to.
onmessage = async ({ data }) => {
  const answer = await fetch(data).catch(({ name }) => ({ status: name }));
  postMessage(answer.status);
};
