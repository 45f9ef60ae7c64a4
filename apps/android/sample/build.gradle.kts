// SPDX-License-Identifier: MIT
plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "sample"
    compileSdk = 35
    defaultConfig {
        applicationId = "example.nibble.chat"
        minSdk = 28
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    // The model stays as it is: an entry that is not compressed can be mapped where it lies.
    androidResources { noCompress += "nbl" }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
}

dependencies { implementation(project(":nibble")) }
