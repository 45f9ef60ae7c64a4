// SPDX-License-Identifier: MIT
pluginManagement {
    repositories { google(); mavenCentral(); gradlePluginPortal() }
    plugins {
        id("com.android.application") version "8.7.3"
        id("com.android.library") version "8.7.3"
        id("org.jetbrains.kotlin.android") version "2.0.21"
    }
}
dependencyResolutionManagement { repositories { google(); mavenCentral() } }
rootProject.name = "nibble-android"
include(":nibble", ":sample")
