/** What the first tab holds: three operations, of which the button beside the editor runs one. */

export const EXAMPLE_OPERATIONS = `# Three operations to begin with: the button
# at the right runs one of them.
#
# Administrators write under Headers:
#   {"Authorization": "Bearer …"}
#
# What is typed stays in this page: nothing is
# kept in the browser.

query Limits {
  serverInfo {
    version
    maxFileSize
    defaultChunkSize
    minPasswordLength
    tusEndpoint
  }
}

# Takes the password once, and gives the address
# to which any tus client sends the bytes.
mutation BeginUpload($upload: CreateUploadInput!) {
  createUpload(input: $upload) {
    upload {
      tusUrl
      offset
      expiresAt
    }
    userErrors {
      code
      message
      field
    }
  }
}

# Administrators see files, and cannot open them.
query NewestFiles {
  files(first: 5) {
    totalCount
    nodes {
      hash
      status
      size
      chunkCount
      createdAt
    }
  }
}
`;

export const EXAMPLE_VARIABLES = `{
  "upload": {
    "filename": "photo.jpg",
    "size": 48210,
    "mediaType": "image/jpeg",
    "password": "correct horse"
  }
}
`;
