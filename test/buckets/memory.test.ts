import { MemoryBucket } from "../../src/buckets/memory.js";
import { bucketContract } from "../contracts/bucket.js";

bucketContract("MemoryBucket", async () => ({ bucket: new MemoryBucket("memory://a") }), {
  isLargeTested: true,
});
