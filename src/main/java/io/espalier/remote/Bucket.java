package io.espalier.remote;

import java.io.FilterInputStream;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Optional;

import io.espalier.remote.RemoteFile.Digest;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.ChecksumType;
import software.amazon.awssdk.services.s3.model.GetObjectRequest;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.HeadBucketRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectRequest;
import software.amazon.awssdk.services.s3.model.HeadObjectResponse;
import software.amazon.awssdk.services.s3.model.NoSuchBucketException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** The objects of an S3 bucket under one prefix. */
public final class Bucket implements RemoteFiles {

    private final S3Client s3;
    private final String bucket;
    private final String prefix;

    /** @param prefix without an end slash; empty for the bucket's top */
    public Bucket(S3Client s3, String bucket, String prefix) {
        this.s3 = s3;
        this.bucket = bucket;
        this.prefix = prefix;
    }

    @Override
    public String revision() {
        return null;
    }

    @Override
    public Optional<RemoteFile> find(String name) throws RemoteException {
        try {
            HeadObjectResponse head = s3.headObject(HeadObjectRequest.builder().bucket(bucket).key(key(name))
                    .checksumMode(ChecksumMode.ENABLED).build());
            boolean whole = head.checksumSHA256() != null && head.checksumType() != ChecksumType.COMPOSITE;
            return Optional.of(new RemoteFile(name, head.contentLength() == null ? -1 : head.contentLength(), head.eTag(), whole
                    ? new Digest(Digest.Kind.SHA256, HexFormat.of().formatHex(Base64.getDecoder().decode(head.checksumSHA256())))
                    : null));
        } catch (S3Exception e) {
            if (e.statusCode() != 404) {
                throw told(name, e);
            }
            requireBucket();
            return Optional.empty();
        } catch (SdkException e) {
            throw told(name, e);
        }
    }

    /** Of a missing object and a missing bucket a HEAD says the same. */
    private void requireBucket() throws RemoteException {
        try {
            s3.headBucket(HeadBucketRequest.builder().bucket(bucket).build());
        } catch (S3Exception e) {
            if (e.statusCode() == 404) {
                throw RemoteException.lasting("s3://" + bucket + ": there is no such bucket");
            }
            // why nothing: who may read objects need not be allowed to ask for the bucket
        } catch (SdkException e) {
            throw told("", e);
        }
    }

    @Override
    public Bytes open(RemoteFile file, long from, String tag) throws RemoteException {
        GetObjectRequest.Builder request = GetObjectRequest.builder().bucket(bucket).key(key(file.name())).ifMatch(file.tag());
        boolean further = from > 0 && tag != null && tag.equals(file.tag());
        if (further) {
            request.range("bytes=" + from + "-");
        }
        try {
            ResponseInputStream<GetObjectResponse> answer = s3.getObject(request.build());
            return new Bytes(further ? from : 0, file.bytes(), answer.response().eTag(), new FilterInputStream(answer) {
                @Override
                public void close() {
                    // why not closed: that reads to the end first
                    answer.abort();
                }
            }, "s3://" + bucket + "/" + key(file.name()));
        } catch (SdkException e) {
            throw told(file.name(), e);
        }
    }

    private String key(String name) {
        return prefix.isEmpty() ? name : prefix + "/" + name;
    }

    private RemoteException told(String name, SdkException e) {
        String what = "s3://" + bucket + "/" + key(name);
        return switch (e) {
            case NoSuchBucketException _ -> RemoteException.lasting("s3://" + bucket + ": there is no such bucket");
            case S3Exception s3Error when s3Error.statusCode() == 404 ->
                RemoteException.lasting(what + ": there is no such object any more");
            case S3Exception s3Error when s3Error.statusCode() == 412 ->
                RemoteException.lasting(what + ": it was changed while it was fetched; register the model again");
            case S3Exception s3Error when s3Error.statusCode() == 401 || s3Error.statusCode() == 403 ->
                RemoteException.lasting(what + ": the credentials of espalier.s3 may not read it");
            case S3Exception s3Error when s3Error.statusCode() < 500 && s3Error.statusCode() >= 400 && s3Error.statusCode() != 429 ->
                RemoteException.lasting(what + ": answered " + s3Error.statusCode());
            case S3Exception s3Error -> RemoteException.passing(what + ": answered " + s3Error.statusCode());
            default -> RemoteException.passing(what + ": the storage does not answer");
        };
    }
}
